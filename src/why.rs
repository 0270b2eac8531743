//! `eastwest why`: the verdict on one flow, the rule that decided, and the rules passed over.

use oracle::{EndExplanation, Explanation};
use policy::{End, Family, Flow, FlowService, Ruling, Timestamp, Verdict};
use serde::Serialize;

use crate::args::{Format, WhyArgs};
use crate::check::read_policy;
use crate::ending::{Ending, Failure, Outcome};
use crate::inventory::{Known, pairs};
use crate::output;

pub(crate) fn why(args: &WhyArgs) -> Outcome {
    let policy = read_policy(&args.policy)?;
    let mut known = Known::from_file(args.inventory.as_deref())?;
    let source = known.endpoint(&args.source)?;
    let destination = known.endpoint(&args.destination)?;
    let service = service(&args.service)?;
    let now = args.at.unwrap_or_else(Timestamp::now);
    let flows = pairs(&source, &destination).into_iter().filter(|(family, ..)| service.exists_in(*family));
    let explained: Vec<(Family, Explanation)> = flows
        .map(|(family, source, destination)| {
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

pub(crate) fn service(text: &str) -> Result<FlowService, Failure> {
    text.trim().parse().map_err(|error| Failure::Input(format!("read the service `{text}`: {error}")))
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
