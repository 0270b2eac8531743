//! Where VMs begin that are to be moved to where they stand.

use super::State;

impl State {
    /// The same state with each VM on the next host, as the file lists them; the last is followed by the first.
    pub(crate) fn elsewhere(&self) -> Self {
        let mut begins = self.clone();
        for vm in begins.vms.values_mut() {
            let at = self.hosts.iter().position(|host| *host == vm.host).unwrap_or_default();
            if let Some(next) = self.hosts.iter().cycle().nth(at + 1) {
                vm.host.clone_from(next);
            }
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;
    use crate::state::{State, Transition};

    const FILE: &str = "
eastwest: scenario/v1
topology:
  hosts: [h1, h2, h3]
  vms:
    a: {host: h1}
    b: {host: h3}
    c: {host: h2, agent: none}
  outside:
    office: {host: h2, addresses: [10.9.0.7]}
";

    #[test]
    fn each_vm_begins_on_another_host_and_nothing_else_differs() {
        let state = State::initial(&parse("moved.yaml", FILE, &mut |_| Err("none".into())).unwrap());
        let begins = state.elsewhere();
        let hosts: Vec<&str> = begins.vms.values().map(|vm| vm.host.as_str()).collect();
        assert_eq!(hosts, ["h2", "h1", "h3"]);
        let way = Transition::between(&begins, &state);
        let moved: Vec<String> = way.moved.iter().map(|(vm, host)| format!("{vm} {host}")).collect();
        assert_eq!(moved, ["a h1", "b h3", "c h2"]);
        assert_eq!(Transition { moved: way.moved, ..Transition::default() }, Transition::between(&begins, &state));
        assert_eq!(begins.outside, state.outside);
    }
}
