use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No command of these tests takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a finished command left.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copriv"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub fn copriv(args: &[&str]) -> Done {
    finish(command(args).spawn().unwrap())
}

/// Waits for the end of a command.
pub fn finish(mut child: Child) -> Done {
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            None => {
                child.kill().unwrap();
                panic!("the command does not end; it said {:?}", stderr.join());
            }
        }
    };
    Done { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_string(&mut text).unwrap();
        }
        text
    })
}

impl Done {
    /// Asserts success without a word on standard error.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// Asserts success and reads the output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Asserts a failure with `code`, told in one line that contains all of `words`, and nothing on standard output.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) {
        let Done { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "{stderr}");
        assert!(stderr.starts_with("copriv: ") && stderr.ends_with('\n'), "{stderr:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
        assert!(!stderr.contains("panicked"), "{stderr:?}");
        assert_eq!(stdout, "", "half an answer");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
        }
    }
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", path].iter().collect()
}

/// A picture that shows `digit`.
pub fn digit(digit: usize) -> String {
    repository(&format!("docs/pictures/digit-{digit}.png")).display().to_string()
}

/// A running server; killed when dropped.
pub struct Serving {
    pub child: Child,
    pub address: String,
    /// What it prints, line by line.
    pub lines: Receiver<String>,
    /// What it complains about, line by line.
    pub complaints: Receiver<String>,
}

impl Serving {
    pub fn start(args: &[&str]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = command(&args).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let complaints = lines_of_errors(&mut child);
        let mut server = Self { child, address: String::new(), lines, complaints };
        let said = server.says("listening on ");
        server.address = said.trim_start_matches("listening on ").to_owned();
        server
    }

    /// The next printed line that contains `word`.
    #[track_caller]
    pub fn says(&self, word: &str) -> String {
        next(&self.lines, word)
    }

    /// The next complaint, which contains `word`.
    #[track_caller]
    pub fn complains(&self, word: &str) -> String {
        let line = self.complaints.recv_timeout(PATIENCE).unwrap();
        assert!(line.starts_with("copriv: ") && line.contains(word), "{line:?}");
        line
    }

    /// A private inference with it.
    pub fn infer(&self, args: &[&str]) -> Done {
        infer(&self.address, args)
    }
}

fn lines_of_errors(child: &mut Child) -> Receiver<String> {
    lines(child.stderr.take().unwrap())
}

#[track_caller]
fn next(lines: &Receiver<String>, word: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap();
        if line.contains(word) {
            return line;
        }
    }
}

/// A private inference with the server at `address`.
pub fn infer(address: &str, args: &[&str]) -> Done {
    copriv(&[&["infer", "--server", address], args].concat())
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
    receive
}

/// A peer that accepts one connection and does `conduct` with it. Gives its address.
pub fn peer(conduct: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || conduct(listener.accept().unwrap().0));
    address
}

/// A proxy for one connection to `server` that forwards `limit` bytes of what the server sends, does `then`, and
/// closes both connections. Gives its address.
pub fn proxy(server: &str, limit: usize, then: impl FnOnce() + Send + 'static) -> String {
    let server = server.to_owned();
    peer(move |client| {
        let server = TcpStream::connect(server).unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        // Ends when either connection does.
        thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        let (mut limited, mut out) = ((&server).take(limit as u64), &client);
        let forwarded = std::io::copy(&mut limited, &mut out);
        then();
        for stream in [&client, &server] {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(forwarded);
    })
}
