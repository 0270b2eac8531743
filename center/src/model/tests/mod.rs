//! The pure model: what each agent is sent.

mod claims;
mod detention;
mod naive;
mod views;
