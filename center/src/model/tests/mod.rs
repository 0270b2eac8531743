//! The pure model: what each agent is sent.

mod detention;
mod naive;
mod views;
