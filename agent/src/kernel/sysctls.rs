//! Connection tracking's settings of this network namespace.
use std::fs;

const SETTINGS: [(&str, &str); 2] = [
    // A packet from the middle of an unknown TCP flow is not taken for a new flow.
    ("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0"),
    ("/proc/sys/net/netfilter/nf_conntrack_acct", "1"),
];

/// Makes the settings; gives, for each that failed, what to warn of.
#[must_use]
pub fn prepare() -> Vec<String> {
    let failed = |(path, value): (&str, &str)| {
        let error = fs::write(path, value).err()?;
        Some(format!("cannot write {value} to {path}: {error}"))
    };
    SETTINGS.into_iter().filter_map(failed).collect()
}
