use crate::layer::{Execution, steps};
use crate::report::Recorder;
use crate::{Error, Offer, Progress, Report, Suite, offer};
use copriv_channel::Channel;
use copriv_prg::Prg;
use copriv_ring::RingVec;
use copriv_session::{Session, hello};
use copriv_share::Arithmetic;
use copriv_wire::Role;

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

/// The client's end of a session with a server.
pub struct Client {
    session: Session,
    offer: Offer,
    recorder: Option<Recorder>,
}

impl Client {
    /// Greets the server, hears and checks its offer and sets up the OTs. `channel` is P1's end; `prg` must be fresh.
    /// With `insist` any other suite is refused.
    ///
    /// # Errors
    /// When the connection or the server fails, or the offer is not acceptable.
    pub fn connect(mut channel: Channel, prg: Prg, insist: Option<Suite>) -> Result<Self, Error> {
        let mut recorder = Recorder::new(channel.role(), channel.traffic());
        hello(&mut channel)?;
        let offer = Offer::receive(&mut channel, insist)?;
        let session = Session::setup(channel, prg, offer.suite.params())?;
        recorder.pause();
        Ok(Self { session, offer, recorder: Some(recorder) })
    }

    /// What the server has told.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// One private inference on `input`, in fixed point at the architecture's width and scale.
    ///
    /// # Errors
    /// When the input does not fit the network, or the connection or the server fails.
    pub fn infer(
        &mut self,
        input: &RingVec,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Output, Report), Error> {
        let Offer { suite, reveal, architecture } = &self.offer;
        let shape = architecture.input_shape();
        if input.len() != shape.len() || input.width() != architecture.width {
            return Err(Error::Input { expected: shape.len(), got: input.len(), shape });
        }
        let fresh = || Recorder::new(Role::P1, self.session.channel.traffic());
        let mut recorder = self.recorder.take().unwrap_or_else(fresh);
        recorder.resume();
        offer::request(&mut self.session.channel)?;
        let steps = steps(architecture, *reveal);
        let execution = Execution { architecture, suite: *suite, steps, secrets: None };
        let share = Arithmetic::new(input.clone());
        let (output, report) = execution.run(&mut self.session, share, recorder, progress)?;
        output.map(|output| (output, report)).ok_or_else(|| Error::Unsupported("it has no output".into()))
    }
}
