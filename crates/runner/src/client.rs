use crate::offer::{Answered, Asked, tell_kept};
use crate::party::{Material, Party};
use crate::plan::Job;
use crate::program::Program;
use crate::report::Recorder;
use crate::server::random_id;
use crate::{Error, Offer, Plan, Progress, Report, Suite};
use copriv_channel::Channel;
use copriv_prg::Prg;
use copriv_ring::RingVec;
use copriv_session::hello;
use copriv_share::Arithmetic;
use copriv_store::Store;
use copriv_wire::Role;
use std::sync::Arc;

/// What the client learns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The network's output, at the scale of its last layer.
    Logits(RingVec),
    /// The index of the largest element. From a server that departs from the protocol it may be past the last class.
    Label(usize),
}

impl Output {
    /// The predicted class.
    pub fn label(&self) -> Option<usize> {
        match self {
            Self::Logits(logits) => copriv_plain::argmax(logits),
            Self::Label(label) => Some(*label),
        }
    }
}

/// Where the material of an inference comes from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Source<'a> {
    /// It is made just before the inference.
    #[default]
    OnTheFly,
    /// An entry of this store; without one that the server has too, an error.
    Store(&'a Store),
    /// An entry of this store, or made just before where there is none.
    StoreOrOnTheFly(&'a Store),
}

/// The client's end of a session with a server.
pub struct Client {
    pub(crate) party: Party,
    pub(crate) offer: Offer,
    pub(crate) recorder: Option<Recorder>,
}

impl Client {
    /// Greets the server, hears and checks its offer. `channel` is P1's end; `prg` must be fresh. With `insist` any other
    /// suite is refused.
    ///
    /// # Errors
    /// When the connection or the server fails, or the offer is not acceptable.
    pub fn connect(mut channel: Channel, prg: Prg, insist: Option<Suite>) -> Result<Self, Error> {
        let before = channel.traffic();
        let start = std::time::Instant::now();
        hello(&mut channel)?;
        let offer = Offer::receive(&mut channel, insist)?;
        let program = Arc::new(Program::new(&offer.architecture, &offer.settings));
        offer.agree(&mut channel, &program)?;
        let recorder = Recorder::started(start, channel.role(), before, &program);
        let mut party = Party::new(channel, prg, program, None);
        party.preprocessing.clone_from(&offer.preprocessing);
        party.store = offer.store.as_deref().map(str::parse).transpose()?;
        Ok(Self { party, offer, recorder: Some(recorder) })
    }

    /// What the server has told.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The plan of the next inference: what will be counted, exactly. `stored` where its material will come out of a store.
    ///
    /// # Errors
    /// When the architecture's description is too long for an offer.
    pub fn plan(&self, stored: bool) -> Result<Plan, Error> {
        self.party.plan(if stored { Job::Stored } else { Job::Inference })
    }

    /// The plan of preprocessing one entry now.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_preprocessing(&self) -> Result<Plan, Error> {
        self.party.plan(Job::Preprocessing)
    }

    /// One private inference on `input`, in fixed point at the architecture's width and scale. The plan is the one of what
    /// really was done.
    ///
    /// # Errors
    /// When the input does not fit the network, there is no material, or the connection or the server fails.
    pub fn infer(
        &mut self,
        input: &RingVec,
        source: Source<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Inference, Error> {
        let architecture = &self.offer.architecture;
        let shape = architecture.input_shape();
        if input.len() != shape.len() || input.width() != architecture.width {
            return Err(Error::Input { expected: shape.len(), got: input.len(), shape });
        }
        let input = Arithmetic::new(input.clone());
        let result = self.infer_from(input, source, progress);
        self.party.after(result)
    }

    fn infer_from(
        &mut self,
        input: Arithmetic,
        source: Source<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Inference, Error> {
        match source {
            Source::OnTheFly => self.infer_now(input, progress),
            Source::Store(_) | Source::StoreOrOnTheFly(_) if !self.offer.settings.preprocesses() => {
                Err(Error::NothingToPreprocess(self.offer.settings.suite))
            }
            Source::Store(_) if self.offer.store.is_none() => Err(Error::ServerHasNoStore),
            Source::Store(store) => self.infer_stored(input, store, progress)?.ok_or(Error::NoEntry),
            Source::StoreOrOnTheFly(store) => match self.infer_stored(input.clone(), store, progress)? {
                Some(done) => Ok(done),
                None => self.infer_now(input, progress),
            },
        }
    }

    fn infer_now(
        &mut self,
        input: Arithmetic,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Inference, Error> {
        let plan = self.plan(false)?;
        let mut recorder = self.recorder()?;
        Asked::Inference.send(self.party.channel()?)?;
        self.party.begin(Job::Inference, &mut recorder)?;
        let (output, report) = self.party.infer(input, recorder, progress, None)?;
        Inference::new(output, plan, report)
    }

    /// `None` when there is no entry that both have.
    fn infer_stored(
        &mut self,
        input: Arithmetic,
        store: &Store,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<Inference>, Error> {
        let label = self.offer.label(&self.party.program, Role::P1, &[])?;
        for id in store.entries(&label)? {
            // Another thread's client may be asking for it.
            let Some(_claim) = store.claim(id) else { continue };
            let plan = self.plan(true)?;
            let mut recorder = self.recorder()?;
            let channel = self.party.channel()?;
            Asked::Stored(id).send(channel)?;
            let answer = Answered::receive(channel)?;
            if answer != Answered::Yes {
                self.party.refused();
                self.recorder = Some(recorder);
                match answer {
                    // The label names the server's store: without its half this one is good for nothing.
                    Answered::Missing => store.discard(id).map(drop)?,
                    Answered::Other => {}
                    _ => return Err(answer.refusal(id)),
                }
                continue;
            }
            // Gone from the disk before anything of it goes out.
            let entry = store.take(id, &label)?;
            self.party.begin(Job::Stored, &mut recorder)?;
            let program = self.party.program.clone();
            let mut part = |index| Material::get(&program, Role::P1, index, &entry);
            let (output, report) = self.party.infer(input, recorder, progress, Some(&mut part))?;
            entry.finish()?;
            return Inference::new(output, plan, report).map(Some);
        }
        Ok(None)
    }

    /// Makes the material of one inference with the server, to be kept by both.
    ///
    /// # Errors
    /// When the suite or the server does not preprocess, or the connection, the server or the store fails.
    pub fn preprocess(
        &mut self,
        store: &Store,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Plan, Report), Error> {
        if !self.offer.settings.preprocesses() {
            return Err(Error::NothingToPreprocess(self.offer.settings.suite));
        }
        if self.offer.store.is_none() {
            return Err(Error::ServerHasNoStore);
        }
        let result = self.preprocess_one(store, progress);
        self.party.after(result)
    }

    fn preprocess_one(
        &mut self,
        store: &Store,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Plan, Report), Error> {
        let plan = self.plan_preprocessing()?;
        let mut recorder = self.recorder()?;
        let id = random_id(self.party.prg()?);
        let mut entry = store.writer(id, &self.offer.label(&self.party.program, Role::P1, &[])?)?;
        Asked::Preprocessing(id).send(self.party.channel()?)?;
        let answer = Answered::receive(self.party.channel()?)?;
        if answer != Answered::Yes {
            self.party.refused();
            self.recorder = Some(recorder);
            return Err(answer.refusal(id));
        }
        self.party.begin(Job::Preprocessing, &mut recorder)?;
        self.party.preprocess(&mut recorder, progress, |index, material| material.put(index, &mut entry))?;
        // First the client: a half of its own alone is found out when it is asked for, and discarded.
        entry.commit()?;
        tell_kept(self.party.channel()?)?;
        let answer = Answered::receive(self.party.channel()?)?;
        if answer != Answered::Yes {
            store.discard(id)?;
            return Err(answer.refusal(id));
        }
        recorder.book(0, crate::Phase::Preprocessing, self.party.traffic());
        Ok((plan, recorder.finish()))
    }

    /// A recorder of what comes now.
    pub(crate) fn recorder(&mut self) -> Result<Recorder, Error> {
        let traffic = self.party.traffic();
        let fresh = || Recorder::new(Role::P1, traffic, &self.party.program);
        let mut recorder = self.recorder.take().unwrap_or_else(fresh);
        recorder.resume();
        Ok(recorder)
    }
}

/// What one inference gave.
#[derive(Debug)]
pub struct Inference {
    /// What the client learnt.
    pub output: Output,
    /// What was predicted.
    pub plan: Plan,
    /// What was counted.
    pub report: Report,
}

impl Inference {
    fn new(output: Option<Output>, plan: Plan, report: Report) -> Result<Self, Error> {
        let output = output.ok_or_else(|| Error::Unsupported("it has no output".into()))?;
        Ok(Self { output, plan, report })
    }
}
