//! Components -> machine code, in a child process.
//!
//! A component is text that somebody else wrote, and there are some that take a compiler hours or all memory there is.
//! So this program starts itself once more to compile one: a child without an environment that limits its own memory
//! and CPU time before it reads anything. What ends it ends nothing else, and is told by name. The component goes in
//! through its stdin, the code comes back through its stdout; words of the child's own come through its stderr.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use wasmtime::Engine;

use super::load::said;
use super::masks::Masks;
use super::tidy::{MESSAGE, Tidy};
use super::tuning;
use crate::config::quantity;

/// Name of the hidden command, of which `cli/` knows nothing but that it exists.
pub const COMMAND: &str = "compile-plugin";

/// Bytes of a component.
pub const COMPONENT: usize = 32 << 20;

/// What the child may map.
const MEMORY: u64 = 1 << 30;
const CPU: Duration = Duration::from_secs(30);
/// Longer than its CPU time, for a machine that is starved of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of machine code. No component of the size that is taken comes near it.
const CODE: u64 = 512 << 20;
/// Bytes of what the child says of itself.
const WORDS: u64 = 8 << 10;

/// What a child ends with that could not compile its component, and says why. No other exit code of this program.
const REFUSED: u8 = 10;

/// Begins the answer of a child; another program's begins otherwise.
const MAGIC: &[u8; 8] = b"vedette\x02";
const CHECKSUM: usize = 32;

/// This very program, also if its file has been replaced since. Without `/proc` it is what it was started as.
pub fn this_program() -> PathBuf {
    let own = PathBuf::from("/proc/self/exe");
    let started_as = || std::env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
    if own.exists() { own } else { started_as().unwrap_or(own) }
}

/// Has a component compiled, for guests of at most so many bytes of linear memory, by a child that runs `program`.
/// There is no other way if that cannot be started: a limit that is silently gone is worse than a plugin that is.
pub(super) async fn compile(program: &Path, memory: usize, component: &[u8]) -> Result<Vec<u8>, String> {
    let child = Command::new(program)
        .args([COMMAND, &memory.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = child.map_err(|error| {
        let program = program.display();
        format!("no process can be started to compile it in ({program}: {error}); mount /proc, or start vedette by its absolute path")
    })?;
    // A child whose time is over is killed by being dropped.
    let asked = tokio::time::timeout(PATIENCE, ask(child, component)).await;
    asked.unwrap_or_else(|_| Err(format!("compiling it takes longer than {}", quantity::show_duration(PATIENCE))))
}

async fn ask(mut child: tokio::process::Child, component: &[u8]) -> Result<Vec<u8>, String> {
    let broken = |error: io::Error| format!("the process that compiles it cannot be talked to: {error}");
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err("the process that compiles it has no pipes".to_owned());
    };
    let tell = async {
        // Whoever ends early reads no more, and how it ended says why.
        let _ = stdin.write_all(component).await;
        drop(stdin);
        Ok(())
    };
    let ((), answer, words) = tokio::try_join!(tell, read(stdout, CODE), read(stderr, WORDS)).map_err(broken)?;
    judge(child.wait().await.map_err(broken)?, &answer, &String::from_utf8_lossy(&words))
}

/// Reads to the end, and no more than so many bytes.
async fn read(pipe: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(most + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > most { Err(io::Error::other("it says too much")) } else { Ok(bytes) }
}

/// The code, if the child did what it was asked; otherwise what became of it.
fn judge(status: ExitStatus, answer: &[u8], words: &str) -> Result<Vec<u8>, String> {
    let tidy = |text: &str| Tidy(&Masks::default()).text(text.trim().to_owned(), MESSAGE);
    if status.success() {
        let code = unframe(answer).ok_or("the process that compiles it gave an answer that is none")?;
        return Ok(code.to_vec());
    }
    if status.code() == Some(i32::from(REFUSED)) {
        return Err(if words.trim().is_empty() { "it cannot be compiled".to_owned() } else { tidy(words) });
    }
    let signal = status.signal();
    if words.contains("memory allocation of") {
        return Err(format!("compiling it takes more than {} of memory", quantity::show_size(MEMORY)));
    }
    if signal == Some(Signal::XCPU.as_raw()) {
        return Err(format!("compiling it takes more than {} of CPU time", quantity::show_duration(CPU)));
    }
    let words = if words.trim().is_empty() { "it said nothing" } else { words };
    Err(match signal {
        Some(signal) => format!("the process that compiles it was ended by signal {signal}: {}", tidy(words)),
        None => format!("the process that compiles it failed: {}", tidy(words)),
    })
}

fn frame(code: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &Sha256::digest(code), code].concat()
}

fn unframe(answer: &[u8]) -> Option<&[u8]> {
    let (checksum, code) = answer.strip_prefix(MAGIC)?.split_at_checked(CHECKSUM)?;
    (Sha256::digest(code).as_slice() == checksum).then_some(code)
}

/// The child: compiles what comes in for guests of at most so many bytes of linear memory. It has no runtime and no
/// threads, and nothing of the agent's.
pub fn child(memory: u64) -> ExitCode {
    let compiled = confine().and_then(|()| take().and_then(|component| translate(memory, &component)));
    let written = match &compiled {
        Ok(code) => io::stdout().write_all(&frame(code)).and_then(|()| io::stdout().flush()),
        Err(message) => writeln!(io::stderr(), "{message}"),
    };
    // Whoever asked may be gone, and is the only one who could be told.
    if compiled.is_ok() && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
}

/// Nothing has been read yet when this is done.
fn confine() -> Result<(), String> {
    let cpu = CPU.as_secs();
    let limits = [
        (Resource::As, MEMORY, MEMORY),
        // The first ends it by a signal that says why, the second in any case.
        (Resource::Cpu, cpu, cpu + 1),
        // It writes nothing but to its pipes, and what it leaves when it breaks is of no use to anyone.
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        let lower = |own: Option<u64>, wanted: u64| Some(own.map_or(wanted, |own| own.min(wanted)));
        let own = rustix::process::getrlimit(resource);
        let limit = Rlimit { current: lower(own.current, soft), maximum: lower(own.maximum, hard) };
        rustix::process::setrlimit(resource, limit).map_err(|error| format!("no limits for compiling it: {error}"))?;
    }
    // Best effort: runs are more urgent than a plugin that is new, and if memory runs out it is this that has to go.
    let _ = rustix::process::nice(10);
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn take() -> Result<Vec<u8>, String> {
    let mut component = Vec::new();
    io::stdin().take(COMPONENT as u64 + 1).read_to_end(&mut component).map_err(|error| format!("it cannot be read: {error}"))?;
    if component.len() > COMPONENT { Err("it is too large".to_owned()) } else { Ok(component) }
}

fn translate(memory: u64, component: &[u8]) -> Result<Vec<u8>, String> {
    let mut config = tuning::config(memory);
    // One thread: what it takes does not depend on the machine, and the other processors are the agent's.
    config.parallel_compilation(false);
    let engine = Engine::new(&config).map_err(|error| said("no compiler", &error))?;
    engine.precompile_component(component).map_err(|error| said("it cannot be compiled", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(raw: i32) -> ExitStatus {
        ExitStatus::from_raw(raw)
    }

    #[test]
    fn every_damaged_byte_of_an_answer_and_every_torn_end_is_refused() {
        let whole = frame(b"machine code");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(judge(ended(0), &damaged, "").is_err(), "byte {at}");
            assert!(judge(ended(0), &whole[..at], "").is_err(), "{at} bytes");
        }
        assert_eq!(judge(ended(0), &whole, "").as_deref(), Ok(&b"machine code"[..]));
        assert!(judge(ended(1 << 8), &whole, "").is_err(), "an answer of a child that failed");
    }

    /// With the clock paused, its time is over as soon as nothing else is left to do.
    #[tokio::test(start_paused = true)]
    async fn a_child_that_does_not_answer_is_given_up_when_its_time_is_over() {
        let folder = std::env::temp_dir().join(format!("vedette-compiler-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let script = folder.join("compiler");
        // Another process writes the script: one that is started meanwhile would hold it open.
        let words = "printf '#!/bin/sh\\nexec sleep 1000\\n' > \"$0\" && chmod 700 \"$0\"";
        assert!(std::process::Command::new("/bin/sh").args(["-c", words]).arg(&script).status().unwrap().success());
        let error = compile(&script, 65536, b"anything").await.unwrap_err();
        assert_eq!(error, "compiling it takes longer than 1m");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_ended_a_child_is_told_by_name() {
        let told = |raw, words: &str| judge(ended(raw), b"", words).unwrap_err();
        assert_eq!(told(i32::from(REFUSED) << 8, "it cannot be compiled: because\n"), "it cannot be compiled: because");
        assert!(told(Signal::XCPU.as_raw(), "").contains("more than 30s of CPU time"));
        assert!(told(Signal::ABORT.as_raw(), "memory allocation of 9 bytes failed").contains("more than 1GiB of memory"));
        assert!(told(Signal::KILL.as_raw(), "").contains("signal 9"));
        assert!(told(101 << 8, "a panic\nat the end\x1b[2J").ends_with("failed: a panic at the end [2J"));
    }
}
