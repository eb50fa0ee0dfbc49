//! A socket between client and daemon that cuts the connection at a call of one's choice.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Numbers of calls in libvirt's remote protocol (`src/remote/remote_protocol.x`).
pub const DESTROY: u32 = 12;
pub const LOOKUP_BY_NAME: u32 = 23;
pub const MIGRATE_PERFORM3_PARAMS: u32 = 305;
pub const MIGRATE_FINISH3_PARAMS: u32 = 306;
pub const DETACH_DEVICE_ALIAS: u32 = 392;

/// Program number of that protocol.
const REMOTE: u32 = 0x2000_8086;

pub struct Proxy {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut_at: Option<u32>,
    silence_at: Option<u32>,
    connections: usize,
    calls: Vec<u32>,
    open: Vec<UnixStream>,
}

impl Proxy {
    /// Listens beside the daemon's socket.
    pub fn start(daemon: &Path, socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (daemon, shared) = (daemon.to_owned(), state.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.lock().unwrap().connections += 1;
                let Ok(daemon) = UnixStream::connect(&daemon) else { continue };
                connect(client, daemon, &shared);
            }
        });
        Self { socket: socket.to_owned(), state }
    }

    pub fn uri(&self) -> String {
        format!("qemu+unix:///session?socket={}", self.socket.display())
    }

    /// Cuts the connection the next time this call is made: the daemon gets it, the answer is lost.
    pub fn cut_at(&self, procedure: u32) {
        self.state.lock().unwrap().cut_at = Some(procedure);
    }

    /// The next time this call is made the daemon gets it, and nothing more comes back on that connection.
    pub fn silence_at(&self, procedure: u32) {
        self.state.lock().unwrap().silence_at = Some(procedure);
    }

    /// Cuts all connections.
    pub fn cut_now(&self) {
        for stream in self.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How often this call was made.
    pub fn calls(&self, procedure: u32) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| **call == procedure).count()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

fn connect(client: UnixStream, daemon: UnixStream, state: &Arc<Mutex<State>>) {
    let cut = Arc::new(Mutex::new(false));
    let silent = Arc::new(Mutex::new(false));
    let (mut from_client, mut to_daemon) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
    state.lock().unwrap().open.extend([client.try_clone().unwrap(), daemon.try_clone().unwrap()]);
    let (mut from_daemon, mut to_client) = (daemon, client);
    let (state, cutting, silencing) = (state.clone(), cut.clone(), silent.clone());
    std::thread::spawn(move || {
        while let Ok(packet) = packet(&mut from_client) {
            let mut state = state.lock().unwrap();
            let call = (number(&packet, 4) == REMOTE).then(|| number(&packet, 12));
            state.calls.extend(call);
            if call.is_some() && state.cut_at == call {
                state.cut_at = None;
                *cutting.lock().unwrap() = true;
            }
            if call.is_some() && state.silence_at == call {
                state.silence_at = None;
                *silencing.lock().unwrap() = true;
            }
            drop(state);
            if to_daemon.write_all(&packet).is_err() {
                break;
            }
        }
        let _ = to_daemon.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        while let Ok(packet) = packet(&mut from_daemon) {
            if *silent.lock().unwrap() {
                continue;
            }
            if *cut.lock().unwrap() || to_client.write_all(&packet).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

/// One packet, its length first.
fn packet(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet)?;
    let length = number(&packet, 0) as usize;
    packet.resize(length, 0);
    from.read_exact(&mut packet[4..])?;
    Ok(packet)
}

fn number(packet: &[u8], at: usize) -> u32 {
    packet.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}
