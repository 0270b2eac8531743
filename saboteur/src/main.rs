//! The saboteur: the agent with a lie in it, for tests alone.
fn main(){}
