//! The pure model: what each agent is sent.

mod naive;
mod views;
