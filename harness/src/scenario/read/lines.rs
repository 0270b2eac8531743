//! Reading the lines of `expect` and `throughout`.

use std::ops::Range;

use policy::yaml::{self, Node, Style, Text, Value};
use policy::{End, Family, Problem, TextError, Verdict, Would};
use reports::event::Word as Verb;

use super::super::{About, Choice, Claim, Expectation, Expected, FlowClaim, Glob, ReportClaim, SessionClaim, Standing};
use super::Reader;
use super::flow::{Words, head, service};

/// The verdicts on flows.
pub(crate) const VERBS: [(&str, Verb); 6] = [
    ("allow", Verb::Allow),
    ("deny", Verb::Deny),
    ("reject", Verb::Reject),
    ("cut", Verb::Cut),
    ("refused", Verb::Refused),
    ("unreachable", Verb::Unreachable),
];

/// How an agent stands to its center.
pub(crate) const STANDINGS: [(&str, Standing); 8] = [
    ("online", Standing::Online),
    ("offline", Standing::Offline),
    ("stale", Standing::Stale),
    ("disconnected", Standing::Disconnected),
    ("cloned", Standing::Cloned),
    ("skipped", Standing::Skipped),
    ("last", Standing::Last),
    ("unbroken", Standing::Unbroken),
];

/// Records of no single flow.
const ABOUT: [(&str, About); 4] = [
    ("alert", About::Alert),
    ("aggregated", About::Aggregated),
    ("suppressed", About::Suppressed),
    ("gap", About::Gap),
];

impl Reader<'_> {
    /// A list of expectations.
    pub(super) fn expectations(&mut self, node: &Node) -> Vec<Expectation> {
        let items = yaml::items(node, "a list of expectations", &mut self.problems).unwrap_or_default();
        let all = items.iter().filter_map(|item| self.expectation(item));
        let all: Vec<Expectation> = all.collect();
        all.into_iter().filter(|one| self.concerns(&one.claim)).collect()
    }

    fn expectation(&mut self, node: &Node) -> Option<Expectation> {
        let (node, mark) = self.marked(node)?;
        let text = self.item(node, "an expectation")?;
        let result = claim(text.as_str());
        let claim = self.taken(&text, result)?;
        let span = text.span();
        let shown = text.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Expectation { line: self.line(span), place: span.start..span.end, text: shown, claim, mark })
    }

    /// A list item: a text, or the one-key mapping that YAML makes of an unquoted `a: b`.
    pub(super) fn item(&mut self, node: &Node, what: &str) -> Option<Text> {
        if let Value::Mapping(entries) = &node.value {
            let later = ["exec", "csv"];
            if let Some(entry) = entries.iter().find(|entry| later.contains(&entry.key.as_str())) {
                self.not_yet(entry.key.span(), entry.key.as_str());
                return None;
            }
            if let [entry] = entries.as_slice()
                && entry.key.style() != Style::Plain
                && let Some(value) = entry.value.as_text()
            {
                let joined = format!("{}: {}", entry.key.as_str(), value.as_str());
                return Some(Text::verbatim(&joined, entry.key.span().start + 1));
            }
            if let Some(second) = entries.get(1) {
                self.wrong(second.key.span(), format!("{what} is one text: begin a list item for each"));
                return None;
            }
        }
        yaml::line(self.text, node, what, &mut self.problems)
    }
}

/// What a line claims.
fn claim(text: &str) -> Result<Claim, TextError> {
    if let Some(at) = text.find(" known: ") {
        let error = TextError::new(at + 1..text.len(), "what is known stands beside an expectation, not in it");
        return Err(error.help("such as `{expect: \"a -> b tcp/443: deny\", known: NET-12 until 2027-01-31}`"));
    }
    let arrow = text.find("->").unwrap_or(text.len());
    let colon = text.find(':').unwrap_or(text.len());
    let (before, after) = (0..colon, (colon + 1).min(text.len())..text.len());
    let start = text.get(before.clone()).unwrap_or_default().trim();
    match start {
        "reported" => return report(text, after, false, false),
        "reported once" => return report(text, after, false, true),
        "not reported" => return report(text, after, true, false),
        "generation acked by all" if colon == text.len() => return Ok(Claim::AckedByAll { but: None }),
        "accounts balance" if colon == text.len() => return Ok(Claim::Balanced),
        _ => {}
    }
    if let Some(bound) = start.strip_prefix("center below ").filter(|_| colon == text.len()) {
        return below(text, bound.trim());
    }
    if let Some(but) = start.strip_prefix("generation acked by all but ").filter(|_| colon == text.len()) {
        return Ok(Claim::AckedByAll { but: Some(Glob::new(but.trim())) });
    }
    if colon == text.len() {
        let error = TextError::new(0..text.len(), "this expectation claims nothing");
        return Err(error.help("write such as `a -> b tcp/443: allow`, `session: alive` or `generation acked by all`"));
    }
    if arrow < colon {
        return flow(text, before, after);
    }
    if let Some(name) = start.strip_prefix("port ") {
        return port(text, name.trim(), before, after);
    }
    match start.strip_prefix("agent ") {
        Some(name) => agent(text, name.trim(), after),
        None => session(text, start, before, after),
    }
}

/// `stopped 3`.
fn port(text: &str, name: &str, before: Range<usize>, after: Range<usize>) -> Result<Claim, TextError> {
    let vm = name.parse().map_err(|_| TextError::new(before, format!("`{name}` is no name of a VM")))?;
    let mut words = Words::of(text, after);
    let (word, place) = words.want("`stopped` and how many frames")?;
    if word != "stopped" {
        return Err(TextError::new(place, "a port is expected to have `stopped` so many frames"));
    }
    let (word, place) = words.want("how many frames")?;
    let frames = word.parse().map_err(|_| TextError::new(place, format!("`{word}` is not a number of frames")))?;
    finished(&mut words)?;
    Ok(Claim::PortStopped { vm, frames })
}

fn flow(text: &str, before: Range<usize>, after: Range<usize>) -> Result<Claim, TextError> {
    let head = head(text, before)?;
    let mut words = Words::of(text, after);
    let expected = if words.eat("?") { None } else { Some(expected(&mut words)?) };
    let (mut family, mut from) = (head.family, None);
    while let Some((word, place)) = words.next() {
        match word {
            "v4" | "v6" if head.family.is_some() => return Err(too_much(word, place)),
            "v4" => family = Some(Family::V4),
            "v6" => family = Some(Family::V6),
            "from" => {
                let (word, place) = words.want("an address")?;
                let address = word.parse();
                from = Some(address.map_err(|_| TextError::new(place, format!("`{word}` is not an address")))?);
            }
            other => return Err(too_much(other, place)),
        }
    }
    let Some(expected) = expected else { return Ok(flow_claim(head, None, family, from)) };
    Ok(flow_claim(head, Some(expected), family, from))
}

fn flow_claim(
    head: super::flow::Head,
    expected: Option<Expected>,
    family: Option<Family>,
    from: Option<std::net::IpAddr>,
) -> Claim {
    let super::flow::Head { source, destination, services, family: _ } = head;
    Claim::Flow(FlowClaim { source, destination, services, expected, family, from })
}

fn too_much(word: &str, place: Range<usize>) -> TextError {
    let known = ["by", "at", "v4", "v6", "from", "would"];
    let error = TextError::new(place, format!("`{word}` is not understood here"));
    match policy::nearest(word, known) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help("an expectation ends in [by RULE] [at source|destination] [v4|v6] [from ADDRESS]"),
    }
}

fn verb(words: &mut Words<'_>) -> Result<Verb, TextError> {
    let (word, place) = words.want("a verdict")?;
    let found = VERBS.iter().find(|(known, _)| *known == word).map(|(_, verb)| *verb);
    found.ok_or_else(|| {
        let known: Vec<&str> = VERBS.iter().map(|(known, _)| *known).collect();
        let error = TextError::new(place, format!("`{word}` is no verdict"));
        match policy::did_you_mean(word, &known) {
            Some(help) => error.help(help),
            None => error,
        }
    })
}

/// `WORD [by RULE] [at END] [, would WORD [by RULE] [at END]]`.
fn expected(words: &mut Words<'_>) -> Result<Expected, TextError> {
    let word = verb(words)?;
    let (rule, end) = decider(words)?;
    let would = if words.eat(",") { Some(would(words)?) } else { None };
    Ok(Expected { word, rule, end, would })
}

fn would(words: &mut Words<'_>) -> Result<Would, TextError> {
    let place = words.here();
    if !words.eat("would") {
        return Err(
            TextError::new(place, "expected `would` after the comma").help("such as `allow, would deny by RULE`")
        );
    }
    let place = words.here();
    let verdict = match verb(words)? {
        Verb::Allow => Verdict::Allow,
        Verb::Deny => Verdict::Deny,
        Verb::Reject => Verdict::Reject,
        Verb::Cut | Verb::Refused | Verb::Unreachable | Verb::Unproven => {
            return Err(TextError::new(place, "a would-be verdict is allow, deny or reject"));
        }
    };
    let (rule, end) = decider(words)?;
    Ok(Would { verdict, rule, end })
}

/// `[by RULE] [at END]`.
fn decider(words: &mut Words<'_>) -> Result<(Option<String>, Option<End>), TextError> {
    let mut rule = None;
    if words.eat("by") {
        let (word, place) = words.want("the name of a rule")?;
        if word == "," || word == "at" {
            return Err(TextError::new(place, "expected the name of a rule after `by`"));
        }
        rule = Some(word.to_owned());
    }
    let end = if words.eat("at") { Some(end(words)?) } else { None };
    Ok((rule, end))
}

fn end(words: &mut Words<'_>) -> Result<End, TextError> {
    let (word, place) = words.want("`source` or `destination`")?;
    match word {
        "source" => Ok(End::Source),
        "destination" => Ok(End::Destination),
        _ => {
            let error = TextError::new(place, format!("`{word}` is no end of a flow"));
            Err(error.help(policy::did_you_mean(word, &["source", "destination"]).unwrap_or_default()))
        }
    }
}

fn finished(words: &mut Words<'_>) -> Result<(), TextError> {
    words.next().map_or(Ok(()), |(word, place)| Err(too_much(word, place)))
}

fn agent(text: &str, name: &str, after: Range<usize>) -> Result<Claim, TextError> {
    let mut words = Words::of(text, after);
    let (word, place) = words.want("how the agent stands to its center")?;
    let found = STANDINGS.iter().find(|(known, _)| *known == word);
    let Some((_, standing)) = found else {
        let known: Vec<&str> = STANDINGS.iter().map(|(known, _)| *known).collect();
        let error = TextError::new(place, format!("no agent is `{word}`"));
        return Err(error.help(policy::did_you_mean(word, &known).unwrap_or_default()));
    };
    finished(&mut words)?;
    Ok(Claim::Agent { vms: Glob::new(name), standing: *standing })
}

/// `64 MiB`.
fn below(text: &str, bound: &str) -> Result<Claim, TextError> {
    let number = bound.strip_suffix("MiB").and_then(|number| number.trim().parse::<u32>().ok());
    let bytes = number.filter(|number| *number > 0).map(|number| u64::from(number) << 20);
    let wrong = || TextError::new(text.len() - bound.len()..text.len(), "expected such as `64 MiB`");
    Ok(Claim::CenterBelow { bytes: bytes.ok_or_else(wrong)? })
}

fn session(text: &str, name: &str, before: Range<usize>, after: Range<usize>) -> Result<Claim, TextError> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        let error = TextError::new(before, format!("`{name}` is neither a flow nor a session"));
        return Err(error.help("a flow is `SOURCE -> DESTINATION SERVICE: VERDICT`"));
    }
    let mut words = Words::of(text, after);
    let (word, place) = words.want("`alive`, `cut` or `path mtu`")?;
    let claim = match word {
        "path" if words.eat("mtu") => return path_mtu(&mut words, name),
        "alive" => SessionClaim::Alive,
        "cut" => {
            let (rule, end) = decider(&mut words)?;
            SessionClaim::Cut { rule, end }
        }
        _ => {
            let error = TextError::new(place, format!("a session is `alive` or `cut`, not `{word}`"));
            return Err(error.help("or say how large a packet may be on its path, such as `path mtu 1280`"));
        }
    };
    finished(&mut words)?;
    Ok(Claim::Session { name: name.to_owned(), claim })
}

/// `1280 [at END]`; the source's end where nothing is said.
fn path_mtu(words: &mut Words<'_>, name: &str) -> Result<Claim, TextError> {
    let (word, place) = words.want("a number of bytes")?;
    let mtu = word.parse().map_err(|_| TextError::new(place, format!("`{word}` is no number of bytes")))?;
    let end = if words.eat("at") { end(words)? } else { End::Source };
    finished(words)?;
    Ok(Claim::PathMtu { name: name.to_owned(), end, mtu })
}

/// `[SRC -> DST SVC[:]] [WORD | alert | aggregated | suppressed | gap] [by RULE] [at END]`.
fn report(text: &str, range: Range<usize>, absent: bool, once: bool) -> Result<Claim, TextError> {
    let mut words = Words::of(text, range.clone());
    let nothing = TextError::new(range.clone(), "expected what is reported");
    let nothing = nothing.help("such as `reported: a -> b tcp/23 deny by RULE at source`");
    words.peek().ok_or(nothing)?;
    let mut claim = ReportClaim {
        absent,
        once,
        source: None,
        destination: None,
        service: None,
        about: None,
        word: None,
        rule: None,
        end: None,
    };
    if text.get(range).is_some_and(|rest| rest.contains("->")) {
        report_flow(&mut words, &mut claim)?;
    }
    claim.about = ABOUT.iter().find(|(word, _)| words.eat(word)).map(|(_, about)| *about);
    if claim.about.is_none() && words.peek().is_some_and(|(word, _)| word != "by" && word != "at") {
        let place = words.here();
        let word = verb(&mut words)?;
        if matches!(word, Verb::Refused | Verb::Unreachable | Verb::Unproven) {
            return Err(TextError::new(
                place,
                "a record tells of allow, deny, reject, cut, alert, aggregated, suppressed or gap",
            ));
        }
        claim.word = Some(word);
    }
    (claim.rule, claim.end) = decider(&mut words)?;
    finished(&mut words)?;
    Ok(Claim::Report(claim))
}

fn report_flow(words: &mut Words<'_>, claim: &mut ReportClaim) -> Result<(), TextError> {
    let (source, _) = words.want("a source")?;
    let (arrow, place) = words.want("`->`")?;
    if arrow != "->" {
        return Err(TextError::new(place, format!("expected `->`, found `{arrow}`")));
    }
    let (destination, _) = words.want("a destination")?;
    claim.source = Some(Glob::new(source));
    claim.destination = Some(Glob::new(destination));
    let (word, place) = words.want("a service")?;
    let bare = word.trim_end_matches(':');
    if bare != "any" {
        claim.service = Some(service(bare, &(place.start..place.start + bare.len()))?);
    }
    Ok(())
}

/// The line that a matrix's cell stands for.
pub(super) fn cell(source: &str, destination: &str, choice: Choice, verb: Option<Verb>) -> Claim {
    let expected = verb.map(|word| Expected { word, rule: None, end: None, would: None });
    let head = super::flow::Head {
        source: Glob::new(source),
        destination: Glob::new(destination),
        services: vec![choice],
        family: None,
    };
    flow_claim(head, expected, None, None)
}

impl Reader<'_> {
    /// Whether `expect` says `same as STEP`: the step's name with its place.
    pub(super) fn same_as(&mut self, node: &Node) -> Option<Text> {
        let text = node.as_text()?;
        match text.as_str().strip_prefix("same as ") {
            Some(name) => text.part(text.as_str().len() - name.len()..text.as_str().len()),
            None => {
                let problem = Problem::new(text.span(), "expected a list of expectations, or `same as STEP`");
                self.problems.report(problem);
                None
            }
        }
    }
}
