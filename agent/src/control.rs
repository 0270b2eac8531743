//! The agent's own socket, in its state folder: by it, who may open the folder suspends the agent and ends that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::Error;

/// The socket's name in the state folder.
pub(crate) const SOCKET: &str = "control.sock";
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of an order or of an answer.
const MOST: u64 = 4096;

/// What is asked of a running agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub enum Order {
    /// For so many seconds the policy's rules only record.
    Suspend {
        /// How many.
        seconds: u64,
    },
    /// They act again.
    Resume,
    /// Tell the center, remove the rules and end.
    Uninstall,
}

/// An order that waits for its answer.
pub(crate) struct Asked {
    pub(crate) order: Order,
    /// Who asks, in the agent's words.
    pub(crate) by: String,
    pub(crate) answer: Answer,
}

/// Where an answer goes.
pub(crate) struct Answer {
    words: oneshot::Sender<String>,
    written: oneshot::Receiver<()>,
}

impl Answer {
    /// Answers; who asked may have gone.
    pub(crate) fn send(self, words: String) {
        drop(self.words.send(words));
    }

    /// Answers, and waits until that was written: for the agent's last word.
    pub(crate) async fn send_last(self, words: String) {
        drop(self.words.send(words));
        drop(timeout(PATIENCE, self.written).await);
    }
}

/// Listens in a state folder whose lock is held: a socket that stands there belongs to nobody.
pub(crate) fn listen(state: &Path) -> Result<mpsc::Receiver<Asked>, Error> {
    let path = path(state);
    let failed = |what, error| Error::File { what, path: path.clone(), error };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("remove", error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path).map_err(|error| failed("listen at", error))?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        // One caller after another: whoever hangs is let go.
        while let Ok((stream, _)) = listener.accept().await {
            drop(timeout(PATIENCE, serve(stream, &sender)).await);
        }
    });
    Ok(receiver)
}

async fn serve(stream: UnixStream, asked: &mpsc::Sender<Asked>) -> std::io::Result<()> {
    let by = format!("uid {}", stream.peer_cred()?.uid());
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MOST).read_line(&mut line).await?;
    let order = serde_json::from_str(&line)?;
    let (words, answered) = oneshot::channel();
    // Dropped behind the last byte.
    let (_writing, written) = oneshot::channel();
    if asked.send(Asked { order, by, answer: Answer { words, written } }).await.is_ok()
        && let Ok(answer) = answered.await
    {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Gives an order to the agent of a state folder. Its answer comes when what it asks for is in force.
///
/// # Errors
/// When no agent runs there, or it does not answer.
pub fn order(state: &Path, order: Order) -> Result<String, Error> {
    let path = path(state);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::System { what: "start a runtime", error })?;
    let silent = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let asked =
        runtime.block_on(async { timeout(PATIENCE * 2, ask(&path, order)).await.unwrap_or_else(|_| Err(silent())) });
    let answer = asked.map_err(|error| Error::File { what: "ask the agent at", path: path.clone(), error })?;
    if answer.is_empty() {
        return Err(Error::Content { path, reason: "the agent gave no answer".to_owned() });
    }
    Ok(answer)
}

async fn ask(path: &Path, order: Order) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(&order)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).await?;
    Ok(answer)
}

fn path(state: &Path) -> PathBuf {
    state.join(SOCKET)
}
