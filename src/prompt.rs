//! The prompt behind a step with findings: questions about the world as it stands, until the run is to go on.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use harness::Pause;
use harness::living::Request;
use reports::event::ScenarioId;

use crate::ending::Failure;
use crate::lab::place::Taken;
use crate::{interrupts, lab, output};

const HELP: &str = "\
  probe A B tcp/443     on packets, with what the policy says of it
  status                what stands
  exec VM -- COMMAND    a program in a VM's network
  shell VM              a shell there
  continue              go on with the run (so does the end of the input)
  quit                  end the run
";

/// Somebody at the keyboard.
pub(crate) struct Prompt {
    /// Held for as long as the run lasts.
    taken: Taken,
    said: Mutex<Receiver<Said>>,
    /// A line is read where one is asked for: what runs in a VM meanwhile has the terminal for itself.
    next: Sender<()>,
}

enum Said {
    Line(String),
    Interrupt,
    End,
}

impl Prompt {
    pub(crate) fn new() -> Result<Self, Failure> {
        let taken = Taken::take(&format!("paused-{}", std::process::id()))?;
        let (tell, said) = channel();
        let interrupted = tell.clone();
        let (next, asked) = channel();
        std::thread::spawn(move || read(&asked, &tell));
        interrupts::hear(move || interrupted.send(Said::Interrupt).is_ok());
        Ok(Self { taken, said: Mutex::new(said), next })
    }

    /// What a run is told of it.
    pub(crate) fn pause(self: &Arc<Self>) -> Pause {
        let prompt = Arc::clone(self);
        Pause {
            socket: self.taken.place.socket(),
            meanwhile: Arc::new(move |scenario, step| prompt.talk(scenario, step)),
        }
    }

    /// Leaves nothing behind.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        self.taken.end()
    }

    /// Takes lines until one says that the run is to go on.
    fn talk(&self, scenario: &ScenarioId, step: &str) {
        let name = &self.taken.place.name;
        let (file, title) = (&scenario.file, &scenario.name);
        output::note(&format!(
            "\npaused behind step `{step}` of {title} ({file})\nfrom elsewhere: eastwest lab --lab {name} …; `help` for what can be \
             said here"
        ));
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            output::ask("eastwest> ");
            // Where nobody reads any more, that is heard.
            let _asked = self.next.send(());
            match said.recv().unwrap_or(Said::End) {
                Said::Line(line) if line.trim().is_empty() => {}
                Said::Line(line) if line.trim() == "help" => output::note(HELP.trim_end()),
                Said::Line(line) if line.trim() == "quit" => {
                    // As the key does it, so that the run ends as by that.
                    let _ended = nix::sys::signal::raise(nix::sys::signal::Signal::SIGINT);
                    break;
                }
                Said::Line(line) if line.trim() != "continue" => self.carry_out(line.trim()),
                Said::Line(_) | Said::Interrupt | Said::End => break,
            }
        }
        if let Err(failure) = self.taken.place.ask(&Request::Down, None) {
            output::complain(&failure);
        }
    }

    fn carry_out(&self, line: &str) {
        let known = ["probe", "status", "exec", "shell"];
        if !line.split_whitespace().next().is_some_and(|word| known.contains(&word)) {
            output::note(&format!("`{line}` is not understood here; `help` says what is"));
            return;
        }
        if let Err(failure) = lab::line(&self.taken.place.name, line.split_whitespace()) {
            output::complain(&failure);
        }
    }
}

fn read(asked: &Receiver<()>, tell: &Sender<Said>) {
    while asked.recv().is_ok() {
        let mut line = String::new();
        let said = match stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Said::End,
            Ok(_) => Said::Line(line),
        };
        if tell.send(said).is_err() {
            return;
        }
    }
}
