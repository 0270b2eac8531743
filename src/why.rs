//! `eastwest why`: the verdict on one flow, the rule that decided, and the rules passed over.

use std::path::PathBuf;

use oracle::{EndExplanation, Explanation};
use policy::{End, Family, Flow, FlowService, Policy, Ruling, ServiceMatch, Timestamp, Verdict};
use serde::Serialize;

use crate::args::Format;
use crate::ending::{Ending, Failure, Outcome};
use crate::given;
use crate::inventory::{Known, pairs};
use crate::output;

/// What `why` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest why departments.yaml hr-1 fin-db tcp/5432 --inventory scenario.yaml
  eastwest why departments.yaml dept=hr dept=finance,app=db tcp/5432
  eastwest why departments.yaml 10.9.0.7 app=web tcp/443")]
pub(crate) struct WhyArgs {
    /// The policy file; several tiers in their order, divided by commas; or a scenario, for its policy and its VMs
    policy: PathBuf,
    /// The source: a VM's name (with --inventory), an address, or a list of labels
    #[arg(value_name = "SRC")]
    source: String,
    /// The destination: a VM's name (with --inventory), an address, or a list of labels
    #[arg(value_name = "DST")]
    destination: String,
    /// One service, such as tcp/443, udp/53, icmp/echo-request
    service: String,
    /// A scenario, or a file with a `topology:` alone, that says which VMs there are
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// The instant to judge at, such as 2026-11-24T12:00:00Z, for rules with `until` [default: the present]
    #[arg(long, value_name = "INSTANT")]
    at: Option<policy::Timestamp>,
    /// What to write to standard output
    #[arg(long, default_value = "human")]
    format: Format,
}

pub(crate) fn why(args: &WhyArgs) -> Outcome {
    let policy = given::policy(&args.policy)?;
    let mut known = Known::from_file(given::inventory(args.inventory.as_deref(), &args.policy))?;
    let source = known.endpoint(&args.source)?;
    let destination = known.endpoint(&args.destination)?;
    let services = services(&args.service, Some(&policy))?;
    let now = args.at.unwrap_or_else(Timestamp::now);
    let pairs = pairs(&source, &destination);
    let flows = services.iter().flat_map(|service| pairs.iter().map(move |pair| (*service, *pair)));
    let flows = flows.filter(|(service, (family, ..))| service.exists_in(*family));
    let explained: Vec<(Family, Explanation)> = flows
        .map(|(service, (family, source, destination))| {
            let flow = Flow { source, destination, service };
            (family, oracle::why(&policy, &known.inventory, &flow, now))
        })
        .collect();
    if explained.is_empty() {
        let WhyArgs { source, destination, service, .. } = args;
        return Err(Failure::Input(format!(
            "judge {service} from `{source}` to `{destination}`: they have no address family in common for it"
        )));
    }
    match args.format {
        Format::Human => output::say(&human(&explained)),
        Format::Json => {
            let verdicts =
                explained.iter().map(|(family, explanation)| Object::of(args, *family, explanation)).collect();
            output::say_json(&Objects { verdicts })?;
        }
    }
    Ok(Ending::AsExpected)
}

/// One service, or those that a policy knows by a name: of a range its ends, of ICMP the echo request.
pub(crate) fn services(text: &str, policy: Option<&Policy>) -> Result<Vec<FlowService>, Failure> {
    let text = text.trim();
    match policy.and_then(|policy| policy.services.get(text)) {
        Some(items) => Ok(items.iter().flat_map(|item| singles(*item)).collect()),
        None => service(text).map(|service| vec![service]),
    }
}

/// One service, such as `tcp/443`.
pub(crate) fn service(text: &str) -> Result<FlowService, Failure> {
    text.trim().parse().map_err(|error| Failure::Input(format!("read the service `{text}`: {error}")))
}

fn singles(item: ServiceMatch) -> Vec<FlowService> {
    match item {
        ServiceMatch::Any => Vec::new(),
        ServiceMatch::Ports { tcp, first, last } => {
            let port = |port| if tcp { FlowService::Tcp(port) } else { FlowService::Udp(port) };
            if first == last { vec![port(first)] } else { vec![port(first), port(last)] }
        }
        ServiceMatch::Icmp(kind) => vec![FlowService::Icmp(kind.unwrap_or(8))],
        ServiceMatch::Icmpv6(kind) => vec![FlowService::Icmpv6(kind.unwrap_or(128))],
        ServiceMatch::Proto(number) => vec![FlowService::Proto(number)],
    }
}

/// The explanation; for both families only where they differ in more than their addresses.
fn human(explained: &[(Family, Explanation)]) -> String {
    let mut shown: Vec<&Explanation> = Vec::new();
    for (_, explanation) in explained {
        let same = |other: &&Explanation| {
            other.ruling == explanation.ruling
                && other.source == explanation.source
                && other.destination == explanation.destination
        };
        if !shown.iter().any(same) {
            shown.push(explanation);
        }
    }
    shown.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[derive(Serialize)]
struct Objects<'a> {
    verdicts: Vec<Object<'a>>,
}

#[derive(Serialize)]
struct Object<'a> {
    source: &'a str,
    destination: &'a str,
    service: String,
    family: Family,
    #[serde(flatten)]
    ruling: &'a Ruling,
    ends: Vec<EndObject<'a>>,
}

#[derive(Serialize)]
struct EndObject<'a> {
    end: End,
    vm: &'a str,
    verdict: Verdict,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: Option<usize>,
    passed: Vec<PassedObject<'a>>,
}

#[derive(Serialize)]
struct PassedObject<'a> {
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: usize,
    reason: String,
}

impl<'a> Object<'a> {
    fn of(args: &'a WhyArgs, family: Family, explanation: &'a Explanation) -> Self {
        Self {
            source: &args.source,
            destination: &args.destination,
            service: explanation.flow.service.to_string(),
            family,
            ruling: &explanation.ruling,
            ends: [&explanation.source, &explanation.destination].into_iter().flatten().map(EndObject::of).collect(),
        }
    }
}

impl<'a> EndObject<'a> {
    fn of(end: &'a EndExplanation) -> Self {
        let passed = end.passed.iter().map(|passed| PassedObject {
            rule: passed.rule.as_str(),
            file: passed.place.file.as_deref(),
            line: passed.place.line,
            reason: passed.reason.to_string(),
        });
        Self {
            end: end.end,
            vm: end.vm.as_str(),
            verdict: end.verdict,
            rule: &end.rule,
            file: end.place.as_ref().and_then(|place| place.file.as_deref()),
            line: end.place.as_ref().map(|place| place.line),
            passed: passed.collect(),
        }
    }
}
