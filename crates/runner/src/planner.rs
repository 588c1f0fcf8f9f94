//! The choice of protocols: which network a suite runs, and how each of its layers.
//!
//! Everything here depends on public things only, so both parties choose the same. A layer's cost under any
//! protocol can be asked for without running it: [`producers`] lists the ways of a linear layer, the other protocols have
//! their costs beside them (`copriv_nonlinear`).

use crate::program::{Nonlinear, Program};
use crate::{Error, Plan, Settings, Suite, drawing};
use copriv_channel::Cost;
use copriv_ir::{Architecture, ConvGeometry, Layer, LayerOp, Lowered, Shape, Simplify, Window};
use copriv_linear::candidates::{TileSizes, candidates, headrooms};
use copriv_linear::{Conv2d, Direct, LinearLayer, Padding, Precision, Producer, Roles};
use copriv_ring::Width;
use copriv_session::Params;
use copriv_wire::Role;
use std::collections::HashMap;
use std::sync::Arc;

/// The tile sizes that [`Suite::Best`] tries.
const TILE_SIZES: TileSizes = &[&[2], &[3], &[4], &[6], &[2, 4], &[3, 4], &[2, 3, 4], &[4, 6], &[2, 4, 6]];

/// The largest digit of a comparison that is tried.
const MAX_DIGIT: u32 = 8;

/// The network that `settings` run: what the suite's graph passes make of `lowered`. It computes what
/// `copriv_plain` says of it, bit for bit.
///
/// # Errors
/// When the network is not valid.
pub fn prepare(lowered: &Lowered, settings: &Settings) -> Result<Lowered, Error> {
    let mut memo = Memo::default();
    let mut headroom = Headroom::new(lowered.architecture.width, settings, &mut memo);
    match simplification(settings, &lowered.architecture) {
        Some(options) => {
            Ok(copriv_ir::simplify(lowered, &options, &mut |layer, input| headroom.of(layer, input))?)
        }
        None => Ok(lowered.clone()),
    }
}

/// The public half of [`prepare`].
///
/// # Errors
/// When the architecture is not valid.
pub fn prepare_architecture(architecture: &Architecture, settings: &Settings) -> Result<Architecture, Error> {
    prepare_with(architecture, settings, &mut Memo::default())
}

fn prepare_with(
    architecture: &Architecture,
    settings: &Settings,
    memo: &mut Memo,
) -> Result<Architecture, Error> {
    let mut headroom = Headroom::new(architecture.width, settings, memo);
    match simplification(settings, architecture) {
        Some(options) => {
            Ok(copriv_ir::simplify_architecture(architecture, &options, &mut |layer, input| {
                headroom.of(layer, input)
            })?)
        }
        None => Ok(architecture.clone()),
    }
}

/// Plans many networks under the same settings, and remembers the choices it has made: networks that share layers with those
/// before are planned much faster.
pub struct Planner {
    settings: Settings,
    memo: Memo,
}

impl Planner {
    /// Remembers nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, memo: Memo::default() }
    }

    /// [`prepare_architecture`], and [`Plan::new`] of it.
    ///
    /// # Errors
    /// Theirs.
    pub fn plan(&mut self, architecture: &Architecture) -> Result<Plan, Error> {
        let prepared = prepare_with(architecture, &self.settings, &mut self.memo)?;
        Plan::with(&prepared, &self.settings, &mut self.memo)
    }

    /// What the layers of `architecture` put on the wire as part of a large network: bytes before the input is there and with it.
    /// OTs that are drawn cost what they do in the long run; set-up and reveal are left out.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn layers(&mut self, architecture: &Architecture) -> Result<[u64; 2], Error> {
        let Self { settings, memo } = self;
        let prepared = prepare_with(architecture, settings, memo)?;
        settings.validate(prepared.width)?;
        let rcot = memo.rcot(settings);
        let program = Program::with(&prepared, settings, memo);
        let steps = program.steps.iter().filter(|step| step.index().is_some());
        let mut sum = [0, 0];
        for step in steps {
            let online = step.online;
            let drawn = match step.has_products() {
                false => online.rcots_from(Role::P0) + online.rcots_from(Role::P1),
                true => 0,
            };
            sum[0] += step.preprocessing.bytes() + ((drawn * rcot) >> 16);
            sum[1] += online.bytes();
        }
        Ok(sum)
    }
}

/// A producer, and what it costs.
type Way = (Arc<dyn Producer>, Cost);

/// What was found before, under the same settings.
#[derive(Default)]
pub(crate) struct Memo {
    headrooms: HashMap<(ConvGeometry, [usize; 2], Width), u32>,
    /// With whether tilings were searched.
    producers: HashMap<(LinearLayer, u32, bool), Way>,
    /// What an OT that is drawn before costs.
    rcot: Option<u64>,
    /// The online cost and the digits.
    nonlinear: HashMap<Nonlinear, (Cost, u32)>,
}

impl Memo {
    fn rcot(&mut self, settings: &Settings) -> u64 {
        let price = || if settings.stores_ots() { drawing::price(settings) } else { 0 };
        *self.rcot.get_or_insert_with(price)
    }
}

fn simplification(settings: &Settings, architecture: &Architecture) -> Option<Simplify> {
    let usual = Simplify { integer_bits: architecture.integer_bits, ..Simplify::default() };
    match settings.suite {
        Suite::Cryptflow2 => None,
        // The paper's suite has no protocol for a clip with truncation.
        Suite::Copriv => Some(Simplify { fuse_clip_truncate: false, ..usual }),
        Suite::Best => Some(usual),
    }
}

/// The factors 2^h that convolutions are given: each the one of its cheapest producer.
struct Headroom<'a> {
    width: Width,
    settings: &'a Settings,
    memo: &'a mut Memo,
    known: HashMap<(ConvGeometry, [usize; 2]), u32>,
}

impl<'a> Headroom<'a> {
    fn new(width: Width, settings: &'a Settings, memo: &'a mut Memo) -> Self {
        Self { width, settings, memo, known: HashMap::new() }
    }

    fn of(&mut self, layer: &Layer, input: Shape) -> u32 {
        let LayerOp::Conv(geometry) = layer.op else { return 0 };
        let key = (ConvGeometry { headroom: 0, ..geometry }, [input.height, input.width]);
        let Self { width, settings, .. } = *self;
        let more = geometry.window.area() > 1 && self.known.len() < MAX_SEARCHES;
        if !more && !self.known.contains_key(&key) {
            return 0;
        }
        let memo = self.memo.headrooms.entry((key.0, key.1, width));
        let found = *memo.or_insert_with(|| cheapest_headroom(&key.0, input, width, settings));
        *self.known.entry(key).or_insert(found)
    }
}

fn cheapest_headroom(geometry: &ConvGeometry, input: Shape, width: Width, settings: &Settings) -> u32 {
    let conv = conv2d(geometry, input);
    let plain = LinearLayer::new(conv, width);
    let cost = |headroom: u32| {
        let layer = LinearLayer { headroom, ..plain };
        // Only what leaves just this factor: a larger one would merely make the ring smaller.
        let exact = producers(&layer, geometry.weight_bits, settings);
        exact.iter().filter(|p| p.headroom() == headroom).map(|p| price(&p.cost(settings.live().rcot))).min()
    };
    let fits =
        headrooms(&plain, tile_sizes(settings)).into_iter().filter(|&headroom| headroom < width.bits());
    let priced = fits.filter_map(|headroom| Some((cost(headroom)?, headroom)));
    priced.min().map_or(0, |(_, headroom)| headroom)
}

/// The ways in which `settings` can produce a linear layer whose weights have `weight_bits` bits.
///
/// ```
/// use copriv_linear::{Conv2d, LinearLayer, Padding, Producer};
/// use copriv_ot::RcotBackend;
/// use copriv_ring::Width;
/// use copriv_runner::{Reveal, Settings, Suite, planner};
/// let conv = Conv2d { kernel: (3, 3), input: (8, 8), padding: Padding::even(1), ..Conv2d::fully_connected(64, 64) };
/// let layer = LinearLayer { conv, width: Width::of(41), headroom: 2 };
/// for way in planner::producers(&layer, 13, &Settings::new(Suite::Best, Reveal::Logits)) {
///     println!("{} bytes: {}", way.cost(RcotBackend::Iknp).bytes(), way.describe());
/// }
/// ```
pub fn producers(layer: &LinearLayer, weight_bits: u32, settings: &Settings) -> Vec<Arc<dyn Producer>> {
    ways(layer, weight_bits, settings, tile_sizes(settings))
}

fn ways(
    layer: &LinearLayer,
    weight_bits: u32,
    settings: &Settings,
    sizes: TileSizes<'_>,
) -> Vec<Arc<dyn Producer>> {
    let bits = layer.width.bits();
    let rcot = settings.live().rcot;
    match settings.suite {
        Suite::Cryptflow2 => vec![Arc::new(Direct::new(*layer, Roles::Halves { bits }))],
        Suite::Copriv => candidates(layer, sizes, Precision::Full, rcot),
        Suite::Best => candidates(layer, sizes, Precision::Narrow { weight_bits }, rcot),
    }
}

/// Geometries of kernels larger than a single weight that are searched for tilings: far more than a network has. Those after
/// them run the direct product, so that no offer keeps a client busy.
const MAX_SEARCHES: usize = 128;

/// The cheapest digits of comparisons for something that costs `online`, under `settings`: that cost, and the digits' size.
///
/// ```
/// use copriv_nonlinear::relu;
/// use copriv_ring::Width;
/// use copriv_runner::{Reveal, Settings, Suite, planner};
/// let best = Settings::new(Suite::Best, Reveal::Logits);
/// let (online, digit_bits) = planner::digits(&best, |params| relu::cost(params, 1 << 16, Width::of(41)));
/// println!("{} bytes online with digits of {digit_bits} bits", online.bytes());
/// ```
pub fn digits(settings: &Settings, online: impl Fn(&Params) -> Cost) -> (Cost, u32) {
    Choices::new(settings, &mut Memo::default()).digits(online)
}

/// What was chosen for the linear layers so far.
pub(crate) struct Choices<'a> {
    pub(crate) settings: &'a Settings,
    /// What an OT that is drawn before costs.
    rcot: u64,
    memo: &'a mut Memo,
    known: HashMap<(LinearLayer, u32), Way>,
    searches: usize,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(settings: &'a Settings, memo: &'a mut Memo) -> Self {
        let rcot = memo.rcot(settings);
        Self { settings, rcot, memo, known: HashMap::new(), searches: 0 }
    }

    /// [`digits`].
    pub(crate) fn digits(&self, online: impl Fn(&Params) -> Cost) -> (Cost, u32) {
        let params = self.settings.online();
        let tried = match self.settings.suite {
            Suite::Best => 1..=MAX_DIGIT,
            Suite::Cryptflow2 | Suite::Copriv => params.digit_bits..=params.digit_bits,
        };
        let priced = tried.map(|digit_bits| (online(&Params { digit_bits, ..params }), digit_bits));
        let cheapest = priced.min_by_key(|(cost, _)| whole_price(cost, self.rcot));
        cheapest.unwrap_or((Cost::ZERO, params.digit_bits))
    }

    pub(crate) fn remembered(&self, layer: &Nonlinear) -> Option<(Cost, u32)> {
        self.memo.nonlinear.get(layer).copied()
    }

    pub(crate) fn remember(&mut self, layer: Nonlinear, found: (Cost, u32)) {
        self.memo.nonlinear.insert(layer, found);
    }

    /// The cheapest of [`producers`], and its cost; the first of them where several cost the same.
    pub(crate) fn producer(&mut self, layer: &LinearLayer, weight_bits: u32) -> (Arc<dyn Producer>, Cost) {
        let Self { settings, memo, known, searches, .. } = self;
        let choose = || {
            let search = *searches < MAX_SEARCHES;
            *searches += usize::from(layer.conv.kernel != (1, 1));
            let found = memo.producers.entry((*layer, weight_bits, search)).or_insert_with(|| {
                let sizes = if search { tile_sizes(settings) } else { &[] };
                let producer = cheapest(layer, ways(layer, weight_bits, settings, sizes), settings);
                let cost = producer.cost(settings.live().rcot);
                (producer, cost)
            });
            found.clone()
        };
        known.entry((*layer, weight_bits)).or_insert_with(choose).clone()
    }
}

fn cheapest(layer: &LinearLayer, ways: Vec<Arc<dyn Producer>>, settings: &Settings) -> Arc<dyn Producer> {
    let cheapest = ways.into_iter().min_by_key(|way| price(&way.cost(settings.live().rcot)));
    // There is always the direct product.
    cheapest.unwrap_or_else(|| Arc::new(Direct::new(*layer, Roles::Halves { bits: layer.width.bits() })))
}

fn tile_sizes(settings: &Settings) -> TileSizes<'static> {
    match settings.suite {
        Suite::Cryptflow2 => &[],
        Suite::Copriv => &[&[2]],
        Suite::Best => TILE_SIZES,
    }
}

/// What a choice is made by: bytes of both directions.
fn price(cost: &Cost) -> u64 {
    cost.bytes()
}

/// [`price`] of both phases in 2^-16 bytes, where OTs of the online phase are drawn before at the price of `rcot` each. A byte
/// online counts twice: for it somebody waits.
fn whole_price(online: &Cost, rcot: u64) -> u64 {
    let drawn = online.rcots_from(Role::P0) + online.rcots_from(Role::P1);
    ((2 * price(online)) << 16) + drawn * rcot
}

pub(crate) fn conv2d(geometry: &ConvGeometry, input: Shape) -> Conv2d {
    let Window { kernel, stride, padding: [top, left, bottom, right] } = geometry.window;
    Conv2d {
        in_channels: geometry.in_channels,
        out_channels: geometry.out_channels,
        groups: geometry.groups,
        input: (input.height, input.width),
        kernel: kernel.into(),
        stride: stride.into(),
        padding: Padding { top, left, bottom, right },
    }
}
