//! The front-end's own way of calling the steps of an action: one `ssh HOST bash -s` for all of them,
//! each step a line of shell with a here-document behind it, its end told by marks on both outputs.

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::Outcome;
use crate::sshd::Sshd;

/// Longer than any step of a test takes; the front-end itself would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ends standard output.
const OUT: &str = "EOF_OUT\n";
/// Stands before the exit code on standard error.
const CODE: &str = "ExitCode: ";
/// Stands behind it.
const ERR: &str = " EOF_ERR\n";

/// The connection of one action to one host.
pub struct Stream {
    child: Child,
    input: Option<ChildStdin>,
    output: Pipe,
    errors: Pipe,
}

/// What has come out of a pipe and was not taken yet.
struct Pipe {
    pieces: Receiver<Vec<u8>>,
    text: Vec<u8>,
}

impl Stream {
    /// `ssh HOST bash -s`
    pub fn open(sshd: &Sshd) -> Self {
        let mut command = sshd.ssh();
        command.args([crate::scene::HOST, "bash", "-s"]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { input: child.stdin.take(), child, output: Pipe::of(output), errors: Pipe::of(errors) }
    }

    /// One step of an action: the probe, then the script with its parameters and this standard input.
    ///
    /// Parameters come in single quotes and are not escaped, as the front-end does it; what it puts
    /// behind them (`VMID HOST`) comes bare. Returns nothing where the probe says that there is no such
    /// script, upon which the front-end would copy the tree to the host.
    pub fn step(&mut self, script: &Path, parameters: &[&str], bare: &str, stdin: &str) -> Option<Outcome> {
        let script = script.display();
        let probe = self.command(&format!("if [ ! -x \"{script}\" ]; then exit 42 1>&2; fi"), None);
        if probe.code == 42 {
            return None;
        }
        assert_eq!((probe.code, probe.stdout.as_str(), probe.stderr.as_str()), (0, "", ""), "the probe");
        let quoted: String = parameters.iter().map(|parameter| format!(" '{parameter}'")).collect();
        Some(self.command(&format!("{script}{quoted} {bare}"), Some(stdin)))
    }

    /// One command with its marks.
    fn command(&mut self, command: &str, stdin: Option<&str>) -> Outcome {
        let (feed, document) = match stdin {
            Some(text) => (format!("cat << 'EOT' | {command}"), format!("{text}\nEOT\n")),
            None => (command.to_owned(), String::new()),
        };
        let line = format!("({feed}); echo \"ExitCode: $? EOF_ERR\" 1>&2; echo \"EOF_OUT\"\n{document}");
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).and_then(|()| input.flush()).expect("the stream takes commands");
        let stdout = self.output.until(|text| text.strip_suffix(OUT).map(str::to_owned));
        let (stderr, code) = self.errors.until(exit_code);
        Outcome { code, stdout, stderr }
    }

    /// Ends the stream. Returns what had come that no step had taken, and the exit code of ssh.
    pub fn close(mut self) -> (String, i32) {
        drop(self.input.take());
        let rest = self.output.rest() + &self.errors.rest();
        (rest, self.child.wait().unwrap().code().unwrap_or(-1))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `^ExitCode: (\d*) EOF_ERR\n` at the end: the mark counts at the start of a line only.
fn exit_code(text: &str) -> Option<(String, i32)> {
    let line = text.strip_suffix(ERR)?;
    let start = line.rfind('\n').map_or(0, |newline| newline + 1);
    let code = line[start..].strip_prefix(CODE)?;
    code.parse().ok().map(|code| (line[..start].to_owned(), code))
}

impl Pipe {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { pieces, text: Vec::new() }
    }

    /// Waits until what has come is what `done` looks for, and takes it.
    fn until<T>(&mut self, done: impl Fn(&str) -> Option<T>) -> T {
        loop {
            if let Some(found) = std::str::from_utf8(&self.text).ok().and_then(&done) {
                self.text.clear();
                return found;
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => self.text.extend(piece),
                Err(error) => {
                    let why = if error == RecvTimeoutError::Timeout { "waits for ever" } else { "ended" };
                    panic!("the stream {why}; it holds {:?}", String::from_utf8_lossy(&self.text));
                }
            }
        }
    }

    fn rest(&mut self) -> String {
        while let Ok(piece) = self.pieces.recv_timeout(PATIENCE) {
            self.text.extend(piece);
        }
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Stream {
        let mut bash = Command::new("bash");
        bash.arg("-s");
        Stream::start(bash)
    }

    #[test]
    fn a_step_has_its_input_its_outputs_and_its_code() {
        let mut stream = local();
        let outcome = stream.command("sh -c 'cat; echo said >&2; exit 3'", Some("$HOME `id`\n'quoted'"));
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("$HOME `id`\n'quoted'\n", "said\n"));
        assert_eq!(outcome.code, 3);
        assert!(stream.step(Path::new("/nonexistent/deploy"), &["a"], "7 node1", "").is_none());
        assert_eq!(stream.step(Path::new("/bin/echo"), &["a b", ""], "7", "").unwrap().stdout, "a b  7\n");
        assert_eq!(stream.close(), (String::new(), 0));
    }

    #[test]
    fn a_mark_counts_at_the_start_of_a_line_only() {
        assert_eq!(exit_code("text\nExitCode: 255 EOF_ERR\n"), Some(("text\n".into(), 255)));
        assert_eq!(exit_code("ExitCode: 0 EOF_ERR\n"), Some((String::new(), 0)));
        for other in ["text ExitCode: 0 EOF_ERR\n", "ExitCode: 0 EOF_ERR", "ExitCode: x EOF_ERR\n", ""] {
            assert_eq!(exit_code(other), None);
        }
    }
}
