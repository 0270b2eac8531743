//! The names of ICMP types. A flow is named by its request; answers and errors belong to the flow that they answer.

/// The types that begin a flow.
const REQUESTS: [(&str, u8); 4] =
    [("echo-request", 8), ("timestamp-request", 13), ("information-request", 15), ("address-mask-request", 17)];
/// The same for ICMPv6.
const REQUESTS_V6: [(&str, u8); 2] = [("echo-request", 128), ("node-information-query", 139)];
/// Types that are known and begin no flow.
const ANSWERS: [&str; 13] = [
    "echo-reply",
    "destination-unreachable",
    "source-quench",
    "redirect",
    "time-exceeded",
    "parameter-problem",
    "timestamp-reply",
    "information-reply",
    "address-mask-reply",
    "packet-too-big",
    "router-advertisement",
    "neighbour-advertisement",
    "neighbor-advertisement",
];

fn requests(v6: bool) -> &'static [(&'static str, u8)] {
    if v6 { &REQUESTS_V6 } else { &REQUESTS }
}

/// The name of a type, if it has one.
pub(crate) fn name(v6: bool, kind: u8) -> Option<&'static str> {
    requests(v6).iter().find(|(_, number)| *number == kind).map(|(name, _)| *name)
}

/// The type of a name or number; else what is wrong, and advice.
pub(crate) fn number(v6: bool, text: &str) -> Result<u8, (String, Option<String>)> {
    if let Some((_, number)) = requests(v6).iter().find(|(name, _)| *name == text) {
        return Ok(*number);
    }
    let family = if v6 { "icmpv6" } else { "icmp" };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| (format!("an {family} type is 0 to 255"), None));
    }
    if ANSWERS.contains(&text) {
        let message = format!("`{text}` begins no flow: it answers one, and passes or falls with it");
        return Err((message, Some("name the request, such as `echo-request`".to_owned())));
    }
    let known: Vec<&str> = requests(v6).iter().map(|(name, _)| *name).collect();
    Err((format!("there is no {family} type `{text}`"), crate::did_you_mean(text, &known)))
}
