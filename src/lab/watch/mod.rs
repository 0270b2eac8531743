//! `eastwest lab watch`: hosts and VMs, and verdicts as they happen, on a terminal.

mod board;
mod draw;

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use harness::living::{Answer, Request, Standing};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio_stream::StreamExt;
use wire::CenterEvent;

use self::board::Board;
use super::place::Place;
use crate::ending::{Ending, Failure, Outcome};

/// Things that may wait to be drawn; whoever tells more waits.
const MOST: usize = 4096;
/// How long a key is waited for before it is looked whether somebody still wants one.
const LOOK: Duration = Duration::from_millis(200);

/// What the board hears.
enum Heard {
    Told(Box<CenterEvent>),
    Stands(Standing),
    /// Draw again.
    Again,
    /// It ends: as asked for, or for this reason.
    End(Option<String>),
}

/// Watches a lab until a key ends it, or the lab does.
pub(super) fn watch(place: &Place) -> Outcome {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err(Failure::Input("watch without a terminal: `eastwest lab status` tells once".to_owned()));
    }
    let first = stands(place)?;
    let center = first.center.clone();
    let center = center.ok_or_else(|| Failure::Environment("find the lab's center: it does not run".to_owned()))?;
    let (tell, heard) = sync_channel(MOST);
    let mut board = Board::new(&place.name);
    board.stand(first);
    let asked = ask_again(place.clone(), tell.clone());
    hear_keys(tell.clone());
    hear_center(center.join("admin.sock"), tell);
    let mut terminal =
        ratatui::try_init().map_err(|error| Failure::Environment(format!("take the terminal: {error}")))?;
    let ended = show(&mut terminal, &mut board, &heard, &asked);
    ratatui::restore();
    match ended.map_err(|error| Failure::Environment(format!("draw: {error}")))? {
        None => Ok(Ending::AsExpected),
        Some(why) => Err(Failure::Environment(why)),
    }
}

fn stands(place: &Place) -> Result<Standing, Failure> {
    let Answer::Status(standing) = place.ask(&Request::Status, None)? else { return Err(super::garbled()) };
    Ok(standing)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    board: &mut Board,
    heard: &Receiver<Heard>,
    asked: &Sender<()>,
) -> std::io::Result<Option<String>> {
    loop {
        terminal.draw(|frame| draw::draw(frame, board))?;
        let Ok(first) = heard.recv() else { return Ok(None) };
        // What has come meanwhile is drawn at once.
        for one in std::iter::once(first).chain(heard.try_iter().take(MOST)) {
            match one {
                Heard::Told(event) if board.take(&event) => drop(asked.send(())),
                Heard::Told(_) | Heard::Again => {}
                Heard::Stands(standing) => board.stand(standing),
                Heard::End(why) => return Ok(why),
            }
        }
    }
}

/// Asks the lab what stands, as often as it is wanted: it may have to wait for a step.
fn ask_again(place: Place, tell: SyncSender<Heard>) -> Sender<()> {
    let (ask, asked) = channel::<()>();
    thread::spawn(move || {
        while asked.recv().is_ok() {
            // What was asked meanwhile is answered by this.
            while asked.try_recv().is_ok() {}
            let said = match stands(&place) {
                Ok(standing) => Heard::Stands(standing),
                Err(_) => Heard::End(Some("hear the lab: it has ended".to_owned())),
            };
            if tell.send(said).is_err() {
                return;
            }
        }
    });
    ask
}

fn hear_keys(tell: SyncSender<Heard>) {
    thread::spawn(move || {
        loop {
            let said = match event::poll(LOOK).and_then(|there| if there { event::read().map(Some) } else { Ok(None) })
            {
                Ok(None) => continue,
                Ok(Some(event)) => heard(&event),
                Err(error) => Some(Heard::End(Some(format!("hear the keys: {error}")))),
            };
            if said.is_some_and(|said| tell.send(said).is_err()) {
                return;
            }
        }
    });
}

/// What a key means; other than these, none does.
fn heard(event: &Event) -> Option<Heard> {
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let interrupts = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
            let ends = interrupts || key.code == KeyCode::Char('q') || key.code == KeyCode::Esc;
            ends.then_some(Heard::End(None))
        }
        Event::Resize(..) => Some(Heard::Again),
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => None,
    }
}

fn hear_center(socket: std::path::PathBuf, tell: SyncSender<Heard>) {
    thread::spawn(move || {
        let why = match follow(&socket, &tell) {
            Ok(()) => "hear the lab's center: it has ended".to_owned(),
            Err(error) => format!("hear the lab's center: {error}"),
        };
        // Who has gone wants to know nothing.
        let _gone = tell.send(Heard::End(Some(why)));
    });
}

fn follow(socket: &Path, tell: &SyncSender<Heard>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let mut client = wire::admin::connect(socket).await.map_err(|error| error.to_string())?;
        let mut events = client.watch().await.map_err(|error| error.to_string())?;
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| error.to_string())?;
            if tell.send(Heard::Told(Box::new(event))).is_err() {
                return Ok(());
            }
        }
        Ok(())
    })
}
