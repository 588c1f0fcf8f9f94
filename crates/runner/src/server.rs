use crate::layer::{Execution, LayerSecrets, steps};
use crate::offer::{request_cost, requested};
use crate::report::Recorder;
use crate::{Error, Offer, Progress, Report, Reveal, Suite};
use copriv_channel::Channel;
use copriv_ir::Lowered;
use copriv_prg::Prg;
use copriv_session::{Session, hello};
use copriv_share::Arithmetic;
use std::sync::Arc;

/// What a server serves: a network with its weights, the protocols and what is revealed.
#[derive(Clone)]
pub struct Model {
    offer: Offer,
    secrets: Arc<Vec<Option<LayerSecrets>>>,
}

impl Model {
    /// Checks the network and brings its weights into the ring.
    ///
    /// # Errors
    /// When the network is not valid.
    pub fn new(lowered: &Lowered, suite: Suite, reveal: Reveal) -> Result<Self, Error> {
        lowered.validate()?;
        let architecture = lowered.architecture.clone();
        let width = architecture.width;
        let secrets = lowered.weights.layers.iter().map(|w| w.as_ref().map(|w| LayerSecrets::new(width, w)));
        Ok(Self { secrets: Arc::new(secrets.collect()), offer: Offer { suite, reveal, architecture } })
    }

    /// What a client is told.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }
}

/// The server's end of a session with one client.
pub struct Server {
    session: Session,
    model: Model,
    recorder: Option<Recorder>,
}

impl Server {
    /// Greets a client, tells it the offer and sets up the OTs. `channel` is P0's end; `prg` must be fresh.
    ///
    /// # Errors
    /// When the connection or the client fails.
    pub fn accept(mut channel: Channel, prg: Prg, model: &Model) -> Result<Self, Error> {
        let mut recorder = Recorder::new(channel.role(), channel.traffic());
        hello(&mut channel)?;
        model.offer.send(&mut channel)?;
        let session = Session::setup(channel, prg, model.offer.suite.params())?;
        recorder.pause();
        Ok(Self { session, model: model.clone(), recorder: Some(recorder) })
    }

    /// Serves one inference; `None` when the client has closed the connection instead of asking.
    ///
    /// # Errors
    /// When the connection or the client fails.
    pub fn serve(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Option<Report>, Error> {
        if !requested(&mut self.session.channel)? {
            return Ok(None);
        }
        let Offer { suite, reveal, architecture } = &self.model.offer;
        let recorder = self.recorder.take();
        let input = Arithmetic::zeros(architecture.width, architecture.input_shape().len());
        let steps = steps(architecture, *reveal);
        let execution = Execution { architecture, suite: *suite, steps, secrets: Some(&self.model.secrets) };
        let mut recorder = recorder.unwrap_or_else(|| self.fresh_recorder());
        recorder.resume();
        let (_, report) = execution.run(&mut self.session, input, recorder, progress)?;
        Ok(Some(report))
    }

    fn fresh_recorder(&self) -> Recorder {
        // The request has been received already and belongs to this inference.
        let mut traffic = self.session.channel.traffic();
        traffic.received -= request_cost().bytes();
        Recorder::new(self.session.role(), traffic)
    }
}
