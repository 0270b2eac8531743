//! `eastwest-saboteur`: the same command line as `eastwest agent run`, and `--kind`.
fn main() {}
