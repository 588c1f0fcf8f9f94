use super::show;
use crate::args::{Link, LinkArgs, ModelArgs, PictureArgs, ProtocolArgs};
use crate::error::Error;
use crate::format::plural;
use crate::party;
use crate::verdict::inexact;
use crate::{machine, model, output, progress};
use clap::Args;
use copriv_ir::Preprocessing;
use copriv_runner::{Model, Report, Served, Server, Settings, Stock, Store, entropy};
use copriv_wire::Role;
use serde_json::json;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

/// Clients served at the same time; others wait until one leaves.
const CLIENTS: usize = 4;

/// Serve private inferences over TCP.
///
/// Secret: the weights. Every client learns the architecture (layers, shapes, bit widths) and, for each of its inputs,
/// what --reveal says. The server learns nothing of the inputs and outputs. Who may connect is not this program's
/// business: put it behind a tunnel or a firewall.
///
/// Clients are also told how a picture becomes the network's input: what the model file says (its metadata has the key
/// copriv.preprocessing) or what the options below say. copriv infer then takes pictures of any size.
///
/// Up to four clients are served at the same time, others wait for their turn. A client that errs, leaves or falls
/// silent ends its own session only. Ctrl-C ends the server.
///
/// With --store clients can have the first half of inferences done ahead (copriv preprocess). What comes of it is secret
/// and of use once: it lies in the file, readable by its owner alone, until an inference destroys it. Entries serve the
/// network, weights and protocols that they were made with, and no other.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv serve zoo:digits --listen 127.0.0.1:7878\n  \
    copriv serve network.onnx --listen 0.0.0.0:7878 --reveal label\n  \
    copriv serve resnet50.onnx --listen 0.0.0.0:7878 --preprocess imagenet\n  \
    copriv serve network.onnx --listen 0.0.0.0:7878 --store server.store --stock 20\n  \
    copriv serve zoo:resnet20-cifar10 --weights trained.safetensors --listen 127.0.0.1:0 --once")]
pub struct Serve {
    #[command(flatten)]
    model: ModelArgs,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    link: LinkArgs,
    /// Keep material that clients preprocess in this file; it is made where it is not there. Never copy it or restore it
    /// from a copy: each entry must serve once.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The most entries that clients can make this server keep.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "store")]
    stock: usize,
    /// Serve one client, then end.
    #[arg(long)]
    once: bool,
    /// Print one JSON object per event and line.
    #[arg(long)]
    json: bool,
    /// End when standard input is closed: for a program that starts this one.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    // Last: what follows would come under its heading.
    #[command(flatten)]
    pictures: PictureArgs,
}

impl Serve {
    pub fn run(self) -> Result<(), Error> {
        if self.until_stdin_closes {
            thread::spawn(|| {
                // Whatever comes, and when it fails too: the program that started this one is gone.
                let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
                std::process::exit(0);
            });
        }
        let listener = listen(&self.listen)?;
        let (_, lowered) = model::load(&self.model, self.protocol.fixed)?;
        let mut model = Model::new(&lowered, &self.protocol.settings())?;
        let pictures = model::preprocessing(&self.model, &self.pictures, &lowered.architecture)?;
        if pictures != Preprocessing::default() {
            model = model.with_preprocessing(pictures)?;
        }
        if let Some(path) = &self.store {
            model = model.with_stock(Stock::new(Store::open(path)?, self.stock)?)?;
        }
        let service = Service { model, link: self.link.remote(), json: self.json };
        drop(lowered);
        let address = listener.local_addr()?;
        service.announce(address, &self.model.model)?;
        if self.once {
            let (stream, client) = listener.accept()?;
            return service.client(stream, client);
        }
        service.clients(&listener)
    }
}

fn listen(address: &str) -> Result<TcpListener, Error> {
    let addresses = party::resolve(address)?;
    TcpListener::bind(&addresses[..]).map_err(|e| {
        Error::other(match e.kind() {
            ErrorKind::AddrInUse => {
                format!("{address} is in use; listen on another port, or on port 0 for any free one")
            }
            ErrorKind::AddrNotAvailable => format!("{address} is no address of this machine"),
            ErrorKind::PermissionDenied => format!("{address} is not for everyone; take a port above 1023"),
            _ => format!("cannot listen on {address}: {e}"),
        })
    })
}

/// What is served, and how it is told.
#[derive(Clone)]
struct Service {
    model: Model,
    link: Link,
    json: bool,
}

/// Gives a client's place back when its thread ends, however that ends.
struct Place(Sender<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody waits for places when the server is ending.
        let _ = self.0.send(());
    }
}

impl Service {
    fn announce(&self, address: SocketAddr, name: &str) -> Result<(), Error> {
        let offer = self.model.offer();
        let Settings { suite, reveal, truncation, relu_drop_bits, .. } = offer.settings;
        let (width, frac_bits) = (offer.architecture.width, offer.architecture.frac_bits);
        let text = format!(
            "serving {name} under {suite}, {width} bits, {frac_bits} of them fraction; clients learn the {reveal}{}\n\
             {}listening on {address}",
            inexact(&offer.settings).map_or(String::new(), |inexact| format!("; {inexact}")),
            offer.preprocessing.as_ref().map_or(String::new(), |pictures| format!("pictures: {pictures}\n"))
        );
        let event = json!({
            "event": "listening", "address": address.to_string(), "model": name, "suite": suite,
            "bits": width.bits(), "frac": frac_bits, "reveal": reveal, "truncation": truncation,
            "relu_drop_bits": relu_drop_bits, "preprocessing": offer.preprocessing,
        });
        self.tell(&text, &event)
    }

    fn tell(&self, text: &str, event: &serde_json::Value) -> Result<(), Error> {
        if self.json { output::json_line(event) } else { output::line(text) }
    }

    /// Serves client after client, a thread each, for ever.
    fn clients(&self, listener: &TcpListener) -> Result<(), Error> {
        let (free, places) = mpsc::channel();
        (0..CLIENTS).for_each(|_| drop(Place(free.clone())));
        // There is a sender here, so this never ends by itself.
        while places.recv().is_ok() {
            let place = Place(free.clone());
            let (stream, client) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, say; one client less may help.
                    output::complain(format_args!("a client could not be accepted: {e}"));
                    thread::sleep(Duration::from_millis(200));
                    continue;
                }
            };
            let service = self.clone();
            let session = move || {
                let _place = place;
                match service.client(stream, client) {
                    Ok(()) => {}
                    Err(Error::Output(e)) => {
                        // Nobody reads any more: the program ends as any would in a pipe.
                        std::process::exit(i32::from(e.kind() != ErrorKind::BrokenPipe));
                    }
                    Err(error) => output::complain(error),
                }
            };
            if let Err(e) = thread::Builder::new().name(client.to_string()).spawn(session) {
                output::complain(format_args!("{client}: no thread to serve it: {e}"));
            }
        }
        Ok(())
    }

    /// Serves one client until it leaves.
    fn client(&self, stream: TcpStream, client: SocketAddr) -> Result<(), Error> {
        let failed = |e| Error::session(client, e);
        let event = json!({"event": "connected", "client": client.to_string()});
        self.tell(&format!("{client}: connected"), &event)?;
        let channel = party::channel(Role::P0, stream, self.link)
            .map_err(|e| Error::Peer { peer: client, why: e.to_string() })?;
        let mut server = Server::accept(channel, entropy()?, &self.model).map_err(failed)?;
        let (mut inferences, mut entries) = (0u64, 0u64);
        while let Some(served) = server.serve(&mut progress::tell).map_err(failed)? {
            let (what, number, report) = match &served {
                Served::Inference(report) => ("inference", &mut inferences, report),
                Served::Preprocessing(report) => ("preprocessing", &mut entries, report),
            };
            *number += 1;
            self.done(client, what, *number, report)?;
        }
        let text = format!("{client}: left after {}", plural(inferences, "inference"));
        let event = json!({
            "event": "left", "client": client.to_string(), "inferences": inferences, "preprocessed": entries,
            "peak_memory_bytes": machine::peak_memory(),
        });
        self.tell(&text, &event)
    }

    fn done(&self, client: SocketAddr, what: &str, number: u64, report: &Report) -> Result<(), Error> {
        let text = format!("{client}: {what} {number}: {}", show::phases(report, "wait"));
        let event = json!({
            "event": what, "client": client.to_string(), "number": number, "report": report,
            "peak_memory_bytes": machine::peak_memory(),
        });
        self.tell(&text, &event)
    }
}
