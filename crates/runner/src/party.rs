//! One party's end of a session: the two phases of an inference.

use crate::drawing::{self, Counts, Drawn, Silent};
use crate::plan::{Job, Situation};
use crate::program::{Done, LayerSecrets, Made, Program, Step};
use crate::report::{Phase, Recorder};
use crate::{Error, Output, Plan, Progress, Report};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Traffic};
use copriv_ir::Preprocessing;
use copriv_ot::key_bits::{BitsReceiver, BitsSender, ReceiverBits, SenderBits};
use copriv_ot::one_of_n::{OneOfNReceiver, OneOfNSender};
use copriv_ot::stored::{ReceiverBatch, SenderBatch, StoredReceiver, StoredSender};
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_prg::Prg;
use copriv_session::Session;
use copriv_share::Arithmetic;
use copriv_store::{EntryId, Taken, Writer};
use copriv_wire::Role;
use std::sync::Arc;

/// A backend of each direction.
type Backends = (Box<dyn RcotSender>, Box<dyn RcotReceiver>);

/// One party's end of a session.
pub(crate) struct Party {
    /// Gone after a failure.
    session: Option<Session>,
    role: Role,
    /// The backends that the session has set up, where those that it uses online are stored ones.
    live: Option<Backends>,
    /// What OTs are drawn from, where that is not the backends above.
    silent: Option<Silent>,
    /// The server's store, as the client has been told.
    pub(crate) store: Option<EntryId>,
    /// How pictures are prepared, as the client has been told.
    pub(crate) preprocessing: Option<Preprocessing>,
    /// Whether OTs are set up.
    ready: bool,
    /// Whether this is the first thing done in this session.
    fresh: bool,
    /// Questions that were answered with no since the last thing done.
    refusals: usize,
    pub(crate) program: Arc<Program>,
    /// At the server.
    secrets: Option<Arc<Vec<Option<LayerSecrets>>>>,
}

/// What a step needs that was made before the input was there. Serves once.
pub(crate) enum Material {
    Nothing,
    Products(Made),
    Ots(Drawn),
}

impl Party {
    pub(crate) fn new(
        channel: Channel,
        prg: Prg,
        program: Arc<Program>,
        secrets: Option<Arc<Vec<Option<LayerSecrets>>>>,
    ) -> Self {
        let none = (OneOfNSender::Rcot, OneOfNReceiver::Rcot);
        let role = channel.role();
        let session = Session::from_parts(channel, prg, program.settings.online(), no_ots(), none);
        Self {
            session: Some(session),
            role,
            live: None,
            silent: None,
            store: None,
            preprocessing: None,
            ready: false,
            fresh: true,
            refusals: 0,
            program,
            secrets,
        }
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        self.session.as_mut().ok_or(Error::Over)
    }

    pub(crate) fn channel(&mut self) -> Result<&mut Channel, Error> {
        Ok(&mut self.session()?.channel)
    }

    pub(crate) fn prg(&mut self) -> Result<&mut Prg, Error> {
        Ok(&mut self.session()?.prg)
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.session.as_ref().map_or_else(Traffic::default, |s| s.channel.traffic())
    }

    /// The plan of what is done next.
    pub(crate) fn plan(&self, job: Job) -> Result<Plan, Error> {
        let Self { store, fresh, ready, refusals, .. } = *self;
        let ots = self.silent.as_ref().map(|silent| silent.state(self.role));
        let preprocessing = self.preprocessing.clone();
        Plan::of(&self.program, Situation { store, preprocessing, fresh, ready, ots, refusals, job })
    }

    /// Ends the session if `result` is a failure that leaves the parties in the middle of something.
    pub(crate) fn after<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|e| {
            if !e.leaves_session() {
                (self.session, self.live, self.silent) = (None, None, None);
            }
        })
    }

    /// A question was answered with no: it becomes part of what is done next.
    pub(crate) fn refused(&mut self) {
        self.refusals += 1;
    }

    /// Sets up what `job` needs, and books everything so far as set-up.
    pub(crate) fn begin(&mut self, job: Job, recorder: &mut Recorder) -> Result<(), Error> {
        (self.fresh, self.refusals) = (false, 0);
        let settings = self.program.settings;
        if !self.ready && (job != Job::Stored || !settings.stores_ots()) {
            let Session { channel, prg, .. } = self.session.take().ok_or(Error::Over)?;
            let mut s = Session::setup(channel, prg, settings.live())?;
            self.silent = self.program.ots.map(|source| source.set_up(&mut s)).transpose()?.flatten();
            if settings.stores_ots() {
                self.live = Some(swap(&mut s, no_ots()));
                s.params = settings.online();
            }
            (self.session, self.ready) = (Some(s), true);
        }
        let phase = if settings.preprocesses() { Phase::Preprocessing } else { Phase::Online };
        recorder.book(0, phase, self.traffic());
        Ok(())
    }

    /// Makes the material of one inference for later, step by step.
    pub(crate) fn preprocess(
        &mut self,
        recorder: &mut Recorder,
        progress: &mut dyn FnMut(Progress<'_>),
        mut keep: impl FnMut(usize, Material) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let program = self.program.clone();
        if !program.settings.preprocesses() {
            return Ok(());
        }
        let mut row = 0;
        for (index, step) in program.steps.iter().enumerate() {
            tell(progress, Phase::Preprocessing, &program, index, self.traffic());
            let material = self.make(step)?;
            if !program.is_free(step) {
                row += 1;
                recorder.book(row, Phase::Preprocessing, self.traffic());
            }
            keep(index, material)?;
        }
        Ok(())
    }

    /// The material of one step.
    fn make(&mut self, step: &Step) -> Result<Material, Error> {
        let live = self.live.take();
        let s = self.session.as_mut().ok_or(Error::Over)?;
        let stored = live.map(|live| swap(s, live));
        s.params = self.program.settings.live();
        let secrets = self.secrets.as_deref().and_then(|all| all.get(step.index()?)?.as_ref());
        let material = match step.prepare(s, secrets)? {
            Some(made) => Material::Products(made),
            None if self.program.ots.is_some() => {
                let drawn = drawing::draw(s, self.silent.as_mut(), &step.online)?;
                drawn.map_or(Material::Nothing, Material::Ots)
            }
            None => Material::Nothing,
        };
        s.params = self.program.settings.online();
        self.live = stored.map(|stored| swap(s, stored));
        Ok(material)
    }

    /// Runs all steps on this party's share of the input. `material` gives what was made before; without it each step's is
    /// made just before the step, so that no more of it is in memory. The output is there at the client alone.
    pub(crate) fn infer(
        &mut self,
        input: Arithmetic,
        mut recorder: Recorder,
        progress: &mut dyn FnMut(Progress<'_>),
        mut material: Option<&mut dyn FnMut(usize) -> Result<Material, Error>>,
    ) -> Result<(Option<Output>, Report), Error> {
        let program = self.program.clone();
        let architecture = &program.architecture;
        let last_use = architecture.last_use();
        let layers = architecture.layers.len();
        let last = [layers - 1];
        let mut values: Vec<Option<Arithmetic>> = vec![None; layers];
        let mut output = None;
        let mut row = 0;
        for (index, step) in program.steps.iter().enumerate() {
            row += usize::from(!program.is_free(step));
            tell(progress, Phase::Online, &program, index, self.traffic());
            let material = match &mut material {
                Some(material) => material(index)?,
                None if program.settings.preprocesses() => {
                    let made = self.make(step)?;
                    if !program.is_free(step) {
                        recorder.book(row, Phase::Preprocessing, self.traffic());
                    }
                    made
                }
                None => Material::Nothing,
            };
            let s = self.session.as_mut().ok_or(Error::Over)?;
            let made = match material {
                Material::Nothing => None,
                Material::Products(made) => Some(made),
                Material::Ots(((sent, sent_bits), (got, got_bits))) => {
                    s.rcot_sender = Box::new(BitsSender::new(StoredSender::new(sent), sent_bits));
                    s.rcot_receiver = Box::new(BitsReceiver::new(StoredReceiver::new(got), got_bits));
                    None
                }
            };
            let secrets = self.secrets.as_deref().and_then(|all| all.get(step.index()?)?.as_ref());
            let inputs = step.index().map_or(&last[..], |i| &architecture.layers[i].inputs);
            let done = if index == 0 {
                Done::Share(input.clone())
            } else {
                let operands: Vec<&Arithmetic> = inputs.iter().filter_map(|&i| values[i].as_ref()).collect();
                step.run(s, architecture, secrets, made, &operands)?
            };
            match (done, step.index()) {
                (Done::Opened(opened), _) => output = opened,
                (Done::Share(share), None) => values[layers - 1] = Some(share),
                (Done::Share(share), Some(layer)) => {
                    // What nobody reads is not kept, unless it is the output.
                    let kept = last_use[layer] > layer || layer + 1 == layers;
                    values[layer] = kept.then_some(share);
                    for &i in inputs.iter().filter(|&&i| last_use[i] == layer) {
                        values[i] = None;
                    }
                }
            }
            if !program.is_free(step) {
                recorder.book(row, Phase::Online, self.traffic());
            }
        }
        tell(progress, Phase::Online, &program, program.steps.len(), self.traffic());
        Ok((output, recorder.finish()))
    }
}

fn tell(
    progress: &mut dyn FnMut(Progress<'_>),
    phase: Phase,
    program: &Program,
    done: usize,
    traffic: Traffic,
) {
    let name = program.steps.get(done).map_or("", |step| program.name(step));
    progress(Progress { phase, done, steps: program.steps.len(), name, traffic });
}

/// No OTs: what a session has before its set-up, and where each step brings its own.
fn no_ots() -> Backends {
    let sender = SenderBatch { delta: Block::ZERO, first_tweak: 0, q: Vec::new() };
    let receiver = ReceiverBatch { first_tweak: 0, choices: BitVec::default(), t: Vec::new() };
    (Box::new(StoredSender::new(sender)), Box::new(StoredReceiver::new(receiver)))
}

/// Puts other backends into a session and gives back those it had.
fn swap(s: &mut Session, (sender, receiver): Backends) -> Backends {
    (std::mem::replace(&mut s.rcot_sender, sender), std::mem::replace(&mut s.rcot_receiver, receiver))
}

/// The parts of an entry that step number `index` has.
fn parts(index: usize) -> [u32; 4] {
    [0, 1, 2, 3].map(|part| 4 * index as u32 + part)
}

impl Material {
    /// Writes a step's material to an entry.
    pub(crate) fn put(&self, index: usize, entry: &mut Writer) -> Result<(), Error> {
        let parts = parts(index);
        match self {
            Self::Nothing => {}
            Self::Products(made) => entry.put(parts[0], &made.to_bytes())?,
            Self::Ots(((sent, sent_bits), (got, got_bits))) => {
                entry.put(parts[0], &sent.to_bytes())?;
                entry.put(parts[1], &got.to_bytes())?;
                entry.put(parts[2], &sent_bits.to_bytes())?;
                entry.put(parts[3], &got_bits.to_bytes())?;
            }
        }
        Ok(())
    }

    /// Reads a step's material from a taken entry.
    pub(crate) fn get(program: &Program, role: Role, index: usize, entry: &Taken) -> Result<Self, Error> {
        let parts = parts(index);
        let Some(step) = program.steps.get(index) else { return Ok(Self::Nothing) };
        if step.has_products() {
            let made = Made::from_bytes(step, role, &entry.part(parts[0])?)?;
            return Ok(made.map_or(Self::Nothing, Self::Products));
        }
        let expected = Counts::of(&step.online);
        if !program.settings.stores_ots() || expected.is_zero() {
            return Ok(Self::Nothing);
        }
        let sent = SenderBatch::from_bytes(&entry.part(parts[0])?)?;
        let received = ReceiverBatch::from_bytes(&entry.part(parts[1])?)?;
        let sent_bits = SenderBits::from_bytes(&entry.part(parts[2])?)?;
        let received_bits = ReceiverBits::from_bytes(&entry.part(parts[3])?)?;
        let drawn = ((sent, sent_bits), (received, received_bits));
        let got = Counts::drawn(role, &drawn);
        if expected != got {
            let [expected, got] = [expected, got].map(|counts| format!("{counts:?}"));
            return Err(copriv_wire::Error::peer("stored OTs of a step", expected, got).into());
        }
        Ok(Self::Ots(drawn))
    }
}
