//! The agent: keeps a virtual machine's kernel in step with its view of the policy, and reports what was intercepted.
pub mod kernel;
