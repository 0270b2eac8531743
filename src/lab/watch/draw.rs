//! The board on a terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, List, Paragraph};

use super::board::Board;

/// Draws all of it: what stands and what was counted above, what happened below. Colour carries nothing that words do not.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let stations = u16::try_from(board.stations.len()).unwrap_or(u16::MAX);
    let above = stations.saturating_add(2).max(3).min(frame.area().height / 2);
    let [head, above, below, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(above), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    let [left, right] = Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(above);
    let Board { name, scenario, generation, missed, .. } = board;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(format!("{name}: {scenario}; generation {generation}")).style(bold), head);
    frame.render_widget(List::new(standing(board)).block(Block::bordered().title("what stands")), left);
    frame.render_widget(List::new(counted(board)).block(Block::bordered().title("packets by rule")), right);
    let room = usize::from(below.height.saturating_sub(2));
    let shown = board.lines.iter().skip(board.lines.len().saturating_sub(room));
    let lines = shown.map(|line| match line.passed {
        true => Line::raw(line.text.as_str()),
        false => Line::styled(line.text.as_str(), bold),
    });
    frame.render_widget(List::new(lines).block(Block::bordered().title("as it happens")), below);
    let missed = if *missed > 0 { format!("; {missed} were missed") } else { String::new() };
    frame.render_widget(Paragraph::new(format!("q ends; interceptions are bold{missed}")), foot);
}

fn standing(board: &Board) -> Vec<String> {
    let wide = board.stations.iter().map(|station| station.name.len()).max().unwrap_or(0);
    let line = |station: &harness::living::Station| {
        let agent = match &station.agent {
            Some((presence, acked)) => format!("{presence}, generation {acked}"),
            None => "no agent".to_owned(),
        };
        format!("{}  {:wide$}  {agent}", station.host, station.name)
    };
    board.stations.iter().map(line).collect()
}

/// The rules with the most packets first.
fn counted(board: &Board) -> Vec<String> {
    let mut counts: Vec<_> = board.counts.iter().collect();
    counts.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    counts.into_iter().map(|((verdict, rule), packets)| format!("{packets:>8}  {verdict} by {rule}")).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use harness::living::{Standing, Station};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use wire::{AgentState, CenterEvent, Presence};

    use super::*;

    fn station(name: &str, agent: Option<(&str, u64)>) -> Station {
        Station {
            name: name.to_owned(),
            host: "rack-a".to_owned(),
            addresses: vec![IpAddr::from([10, 98, 0, 1])],
            labels: std::collections::BTreeMap::new(),
            agent: agent.map(|(presence, acked)| (presence.to_owned(), acked)),
        }
    }

    fn agent(vm: &str, presence: Presence, acked: u64) -> CenterEvent {
        CenterEvent::Agent(AgentState {
            vm: vm.to_owned(),
            presence,
            acked,
            refused: None,
            quarantined: false,
            clones: 0,
            stale_since: None,
            suspended_until: None,
        })
    }

    #[test]
    fn what_stands_what_was_counted_and_what_happened_are_drawn() {
        let mut board = Board::new("demo");
        let stations = vec![station("web", Some(("online", 2))), station("hr-1", Some(("online", 2)))];
        let scenario = "two departments".to_owned();
        board.stand(Standing { scenario, generation: 2, steps: 0, center: None, stations });
        board.counts.insert(("reject".to_owned(), "hr-reads-no-ledgers".to_owned()), 3);
        board.counts.insert(("allow".to_owned(), "web".to_owned()), 12);
        let events = [
            (CenterEvent::Published { generation: 3 }, true),
            (agent("hr-1", Presence::Offline, 2), false),
            (agent("new", Presence::Online, 3), true),
            (CenterEvent::Alert { vm: "hr-1".to_owned(), detail: "a scan".to_owned() }, false),
            (CenterEvent::Missed { count: 7 }, false),
        ];
        for (event, stands_otherwise) in events {
            assert_eq!(board.take(&event), stands_otherwise, "{event:?}");
        }
        let mut terminal = Terminal::new(TestBackend::new(84, 12)).unwrap();
        terminal.draw(|frame| draw(frame, &board)).unwrap();
        let text = terminal.backend().to_string();
        for line in [
            "demo: two departments; generation 3",
            "rack-a  hr-1  offline, generation 2",
            "rack-a  web   online, generation 2",
            "      12  allow by web",
            "published generation 3",
            "alert hr-1: a scan",
            "q ends; interceptions are bold; 7 were missed",
        ] {
            assert!(text.contains(line), "`{line}` is not in\n{text}");
        }
    }

    #[test]
    fn a_terminal_of_any_size_does() {
        let board = Board::new("small");
        for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 200)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &board)).unwrap();
        }
    }
}
