use crate::offer::{Answered, Asked, check_pictures, hear_kept};
use crate::party::{Material, Party};
use crate::plan::Job;
use crate::program::{LayerSecrets, Program};
use crate::report::Recorder;
use crate::{Error, Offer, Progress, Report, Settings, entropy, planner};
use copriv_channel::Channel;
use copriv_ir::{Lowered, Preprocessing, Weights};
use copriv_prg::Prg;
use copriv_session::hello;
use copriv_share::Arithmetic;
use copriv_store::{EntryId, Store};
use copriv_wire::Role;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// What a server serves: a network with its weights, the protocols and what is revealed.
#[derive(Clone)]
pub struct Model {
    pub(crate) offer: Offer,
    pub(crate) program: Arc<Program>,
    secrets: Arc<Vec<Option<LayerSecrets>>>,
    /// Of the weights.
    digest: [u8; 32],
    /// What entries of a store are made for.
    pub(crate) label: Vec<u8>,
    pub(crate) stock: Option<Stock>,
    /// Entries that sessions are making now.
    making: Arc<Mutex<usize>>,
}

/// Where a server keeps preprocessed entries.
#[derive(Clone, Debug)]
pub struct Stock {
    pub(crate) store: Store,
    limit: usize,
    identity: EntryId,
}

impl Stock {
    /// Keeps entries in `store`; no client can make it keep more than `limit` of a network.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness for its identity.
    pub fn new(store: Store, limit: usize) -> Result<Self, Error> {
        let identity = store.identity(random_id(&mut entropy()?))?;
        Ok(Self { store, limit, identity })
    }
}

/// A new entry's name.
pub(crate) fn random_id(prg: &mut Prg) -> EntryId {
    let [low, high] = prg.block().words();
    let mut id = EntryId([0; 16]);
    id.0[..8].copy_from_slice(&low.to_le_bytes());
    id.0[8..].copy_from_slice(&high.to_le_bytes());
    id
}

impl Model {
    /// Checks the network, lets the suite's graph passes rewrite it ([`planner::prepare`]) and brings its weights into the
    /// ring.
    ///
    /// # Errors
    /// When the network is not valid, or the settings do not fit it.
    pub fn new(lowered: &Lowered, settings: &Settings) -> Result<Self, Error> {
        lowered.validate()?;
        settings.validate(lowered.architecture.width)?;
        let Lowered { architecture, weights } = planner::prepare(lowered, settings)?;
        let width = architecture.width;
        let secrets = weights.layers.iter().map(|w| w.as_ref().map(|w| LayerSecrets::new(width, w)));
        let secrets = Arc::new(secrets.collect());
        let program = Arc::new(Program::new(&architecture, settings));
        let offer = Offer { settings: *settings, architecture, store: None, preprocessing: None };
        let digest = digest(&weights);
        let label = offer.label(&program, Role::P0, &digest)?;
        Ok(Self { offer, program, secrets, digest, label, stock: None, making: Arc::default() })
    }

    /// The same, with a place to keep preprocessed entries.
    ///
    /// # Errors
    /// When the offer becomes too long.
    pub fn with_stock(self, stock: Stock) -> Result<Self, Error> {
        let offer = Offer { store: Some(stock.identity.to_string()), ..self.offer };
        let label = offer.label(&self.program, Role::P0, &self.digest)?;
        Ok(Self { offer, label, stock: Some(stock), making: Arc::default(), ..self })
    }

    /// The same, telling clients how a picture becomes the network's input.
    ///
    /// # Errors
    /// When that does not fit the network.
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Result<Self, Error> {
        check_pictures(&preprocessing, &self.offer.architecture)?;
        let offer = Offer { preprocessing: Some(preprocessing), ..self.offer };
        Ok(Self { offer, ..self })
    }

    /// What a client is told.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }
}

/// The right to make one more entry, until it is dropped.
struct Place(Arc<Mutex<usize>>);

impl Place {
    /// None where entries and those that other sessions are making are as many as may be.
    fn take(stock: &Stock, model: &Model) -> Result<Option<Self>, Error> {
        let mut making = model.making.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.store.entries(&model.label)?.len().saturating_add(*making) >= stock.limit {
            return Ok(None);
        }
        *making += 1;
        Ok(Some(Self(model.making.clone())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

/// A digest of all weights: entries that were made for others do not fit.
fn digest(weights: &Weights) -> [u8; 32] {
    let mut digest = Sha256::new();
    for layer in weights.layers.iter().flatten() {
        for values in [&layer.matrix, &layer.bias] {
            digest.update((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| digest.update(value.to_le_bytes()));
        }
    }
    digest.finalize().into()
}

/// What a server has done for its client.
#[derive(Debug, PartialEq)]
pub enum Served {
    /// An inference.
    Inference(Report),
    /// The first half of one, now in the store.
    Preprocessing(Report),
}

/// The server's end of a session with one client.
pub struct Server {
    pub(crate) party: Party,
    model: Model,
    /// Of what comes next.
    recorder: Recorder,
}

impl Server {
    /// Greets a client and tells it the offer. `channel` is P0's end; `prg` must be fresh.
    ///
    /// # Errors
    /// When the connection or the client fails.
    pub fn accept(mut channel: Channel, prg: Prg, model: &Model) -> Result<Self, Error> {
        let mut recorder = Recorder::new(channel.role(), channel.traffic(), &model.program);
        hello(&mut channel)?;
        model.offer.send(&mut channel)?;
        model.offer.agree(&mut channel, &model.program)?;
        recorder.pause();
        let party = Party::new(channel, prg, model.program.clone(), Some(model.secrets.clone()));
        Ok(Self { party, model: model.clone(), recorder })
    }

    /// Does the next thing the client asks for; `None` when it has closed the connection instead of asking.
    ///
    /// # Errors
    /// When the connection, the client or the store fails.
    pub fn serve(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Option<Served>, Error> {
        let result = self.serve_next(progress);
        self.party.after(result)
    }

    fn serve_next(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Option<Served>, Error> {
        loop {
            let Some(asked) = Asked::receive(self.party.channel()?)? else { return Ok(None) };
            self.recorder.resume();
            let done = match asked {
                Asked::Inference => Some(Served::Inference(self.infer_now(progress)?)),
                Asked::Stored(id) => self.infer_stored(id, progress)?.map(Served::Inference),
                Asked::Preprocessing(id) => self.preprocess(id, progress)?.map(Served::Preprocessing),
            };
            self.recorder.pause();
            if done.is_some() {
                return Ok(done);
            }
        }
    }

    fn infer_now(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Report, Error> {
        let mut recorder = self.take_recorder();
        self.party.begin(Job::Inference, &mut recorder)?;
        self.infer(recorder, progress, None)
    }

    fn infer_stored(
        &mut self,
        id: EntryId,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<Report>, Error> {
        let Some(Stock { store, .. }) = self.stock() else { return self.refuse(Answered::NoStore) };
        // Gone from the disk before anything of it goes out.
        let entry = match store.take(id, &self.model.label) {
            Ok(entry) => entry,
            Err(copriv_store::Error::Missing { .. }) => return self.refuse(Answered::Missing),
            Err(copriv_store::Error::Mismatch { .. }) => return self.refuse(Answered::Other),
            Err(e) => return Err(e.into()),
        };
        Answered::Yes.send(self.party.channel()?)?;
        let mut recorder = self.take_recorder();
        self.party.begin(Job::Stored, &mut recorder)?;
        let program = self.model.program.clone();
        let report = self.infer(
            recorder,
            progress,
            Some(&mut |index| Material::get(&program, Role::P0, index, &entry)),
        )?;
        entry.finish()?;
        Ok(Some(report))
    }

    fn preprocess(
        &mut self,
        id: EntryId,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<Report>, Error> {
        let Some(stock) = self.stock() else { return self.refuse(Answered::NoStore) };
        let Some(_place) = Place::take(&stock, &self.model)? else { return self.refuse(Answered::Full) };
        let mut entry = match stock.store.writer(id, &self.model.label) {
            Ok(entry) => entry,
            Err(copriv_store::Error::Exists { .. }) => return self.refuse(Answered::Exists),
            Err(e) => return Err(e.into()),
        };
        Answered::Yes.send(self.party.channel()?)?;
        let mut recorder = self.take_recorder();
        self.party.begin(Job::Preprocessing, &mut recorder)?;
        self.party.preprocess(&mut recorder, progress, |index, material| material.put(index, &mut entry))?;
        // The client's half is there: this one will be asked for.
        hear_kept(self.party.channel()?)?;
        let answer = match entry.commit() {
            Ok(()) => Answered::Yes,
            // Another session was quicker.
            Err(copriv_store::Error::Exists { .. }) => Answered::Exists,
            Err(e) => return Err(e.into()),
        };
        answer.send(self.party.channel()?)?;
        recorder.book(0, crate::Phase::Preprocessing, self.party.traffic());
        self.recorder = Recorder::new(Role::P0, self.party.traffic(), &self.model.program);
        Ok((answer == Answered::Yes).then(|| recorder.finish()))
    }

    fn infer(
        &mut self,
        recorder: Recorder,
        progress: &mut dyn FnMut(Progress<'_>),
        material: Option<&mut dyn FnMut(usize) -> Result<Material, Error>>,
    ) -> Result<Report, Error> {
        let architecture = &self.model.offer.architecture;
        // The input is the client's alone: its share is all of it.
        let input = Arithmetic::zeros(architecture.width, architecture.input_shape().len());
        let (_, report) = self.party.infer(input, recorder, progress, material)?;
        self.recorder = Recorder::new(Role::P0, self.party.traffic(), &self.model.program);
        Ok(report)
    }

    /// Where entries are, if this suite has any.
    fn stock(&self) -> Option<Stock> {
        self.model.stock.clone().filter(|_| self.model.offer.settings.preprocesses())
    }

    /// Says no and waits for the next question.
    fn refuse<T>(&mut self, why: Answered) -> Result<Option<T>, Error> {
        why.send(self.party.channel()?)?;
        self.party.refused();
        Ok(None)
    }

    fn take_recorder(&mut self) -> Recorder {
        let next = Recorder::new(Role::P0, self.party.traffic(), &self.model.program);
        std::mem::replace(&mut self.recorder, next)
    }
}
