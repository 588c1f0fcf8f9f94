use crate::{
    Architecture, ConvGeometry, Error, Layer, LayerOp, LayerWeights, Lowered, Shape, Weights, Window,
};
use copriv_ring::Width;
use std::collections::{HashMap, HashSet};

/// Which rewrites [`simplify`] makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Simplify {
    /// A truncation that alone reads a ReLU becomes one [`LayerOp::ReluTruncate`] with it; otherwise they are two
    /// layers.
    pub fuse_relu_truncate: bool,
    /// The same for clips from 0, [`LayerOp::ClipTruncate`], where the ring has room for it.
    pub fuse_clip_truncate: bool,
    /// The bits, sign included, that a value must keep above its fraction where a rewrite makes it larger than
    /// it was.
    pub integer_bits: u32,
}

impl Simplify {
    /// A layer and the truncation of its result as one.
    fn fused(&self, width: Width, op: LayerOp, shift: u32) -> Option<LayerOp> {
        match op {
            LayerOp::Relu => self.fuse_relu_truncate.then_some(LayerOp::ReluTruncate { shift }),
            LayerOp::Clip { low: 0, high } => {
                let ring = LayerOp::clip_ring(width, high, shift).filter(|_| self.fuse_clip_truncate);
                ring.map(|_| LayerOp::ClipTruncate { high, shift })
            }
            _ => None,
        }
    }
}

impl Default for Simplify {
    fn default() -> Self {
        Self { fuse_relu_truncate: true, fuse_clip_truncate: true, integer_bits: 8 }
    }
}

/// Rewrites a network into one with fewer truncations and ReLUs, whose output has the same shape and scale.
///
/// A truncation is put off until a product needs its result: until then the layers carry a value at a greater
/// scale. What is put off, and where it is not:
///
/// - ReLUs, max pools, flattening and clips give the same on the untruncated value, the bounds of a clip being
///   shifted. A max pool that alone reads a ReLU comes before it, unless that is of some elements only.
/// - The operands of a sum are brought to one scale by a [`LayerOp::Shift`] and the sum is truncated. Operands
///   of a concatenation at different scales are truncated first.
/// - A mean over 2^k elements is their sum at a scale greater by k; another mean is a sum, and its product with
///   the multiplier waits for its shift like a convolution. So the few results are truncated, not the many
///   elements. A product with a mean that has nothing else to truncate takes it as it is.
/// - The operand of another product is truncated, and so is a value that several layers read: once, for all.
/// - A convolution gets the headroom that `headroom` tells for it and for its input's shape: a promise that a
///   transform leaves exactly this. It is asked only of those that have none yet, and 0 is taken where it does not
///   fit. The bias is shifted along.
///
/// Where the greater scale would leave fewer than [`Simplify::integer_bits`] bits above the fraction, the value
/// is truncated first. Layers that nothing reads are left out. Weights stay as they are but for the shifts of
/// biases, mod 2^l. The output differs from that of `lowered` by what the roundings differ; without sums,
/// means and concatenations not at all, as long as nothing wraps.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, Simplify, Window, lower, simplify};
/// use copriv_ring::Width;
/// let mut net = GraphBuilder::new("tiny", Shape::new(1, 4, 4))?;
/// let x = net.conv("conv", net.input(), Window::square(3, 1, 1), 1, vec![0.5; 9], vec![0.0])?;
/// let x = net.relu("relu", x)?;
/// let x = net.max_pool("pool", x, Window::square(2, 2, 0))?;
/// let x = net.conv("last", x, Window::square(1, 1, 0), 1, vec![2.0], vec![0.0])?;
/// let lowered = lower(&net.finish(x)?, LowerOptions { width: Width::of(41), frac_bits: 12 })?;
/// let simple = simplify(&lowered, &Simplify::default(), &mut |_, _| 0)?;
/// let kinds: Vec<_> = simple.architecture.layers.iter().map(|layer| layer.op.kind()).collect();
/// assert_eq!(kinds, ["input", "conv", "maxpool", "relu_truncate", "conv", "truncate"]);
/// # Ok::<(), copriv_ir::Error>(())
/// ```
///
/// # Errors
/// [`Error`] when the network is not valid, or the rewritten one is outside [`limits`](crate::limits).
pub fn simplify(
    lowered: &Lowered,
    options: &Simplify,
    headroom: &mut dyn FnMut(&Layer, Shape) -> u32,
) -> Result<Lowered, Error> {
    lowered.validate()?;
    let (architecture, origins) = rewrite(&lowered.architecture, options, headroom);
    let width = architecture.width;
    let weights = |origin: &Option<Origin>| {
        let &Origin { layer, shift } = origin.as_ref()?;
        let LayerWeights { matrix, bias } = lowered.weights.get(layer)?;
        let shifted = |&b: &i64| width.to_signed(width.from_signed(b << shift));
        Some(LayerWeights { matrix: matrix.clone(), bias: bias.iter().map(shifted).collect() })
    };
    let weights = Weights { layers: origins.iter().map(weights).collect() };
    let simple = Lowered { architecture, weights };
    simple.validate()?;
    Ok(simple)
}

/// The public half of [`simplify`], which depends on no weight.
///
/// # Errors
/// As [`simplify`].
pub fn simplify_architecture(
    architecture: &Architecture,
    options: &Simplify,
    headroom: &mut dyn FnMut(&Layer, Shape) -> u32,
) -> Result<Architecture, Error> {
    architecture.validate()?;
    let (simple, _) = rewrite(architecture, options, headroom);
    simple.validate()?;
    Ok(simple)
}

/// Which layer of the old network a layer has its weights from, and by how many bits, fewer than l, its bias is
/// shifted.
#[derive(Clone, Copy)]
struct Origin {
    layer: usize,
    shift: u32,
}

/// What stands for a value of the old network.
#[derive(Clone, Copy)]
struct Value {
    /// A layer of the new network.
    layer: usize,
    /// By how much the layer's scale is greater than the old one; floor(x / 2^pending) is the old value.
    pending: u32,
    /// Whether the pending bits, if any, are those of means alone: then a product may read the layer as it is.
    mean: bool,
}

impl Value {
    /// One at its old scale.
    const fn whole(layer: usize) -> Self {
        Self { layer, pending: 0, mean: true }
    }

    /// The value truncated by `shift`.
    const fn over(self, shift: u32) -> Self {
        Self { pending: self.pending + shift, mean: false, ..self }
    }
}

fn rewrite(
    old: &Architecture,
    options: &Simplify,
    headroom: &mut dyn FnMut(&Layer, Shape) -> u32,
) -> (Architecture, Vec<Option<Origin>>) {
    let mut rewriting = Rewriting {
        old,
        options,
        uses: Uses::new(old, options),
        layers: Vec::new(),
        origins: Vec::new(),
        values: Vec::new(),
        truncated: HashMap::new(),
        shifted: HashMap::new(),
    };
    for (index, layer) in old.layers.iter().enumerate() {
        // What the output does not need is read by nothing that it needs: any value will do.
        let live = rewriting.uses.live[index];
        let value = if live { rewriting.layer(index, layer, headroom) } else { Value::whole(0) };
        rewriting.values.push(value);
    }
    let output = rewriting.values[old.layers.len() - 1];
    let output = rewriting.forced(output);
    rewriting.finish(output)
}

/// How the layers of the old network are used.
struct Uses {
    /// Whether the output needs it.
    live: Vec<bool>,
    /// How many live layers read it.
    readers: Vec<usize>,
    /// Whether it is truncated as soon as it is there: a reader needs that, or there are several.
    at_once: Vec<bool>,
    /// Whether only products read it.
    products_alone: Vec<bool>,
}

impl Uses {
    fn new(net: &Architecture, options: &Simplify) -> Self {
        let n = net.layers.len();
        // Whether all of it comes from ReLUs: fused with them, truncations cost no rounds of their own.
        let mut relus = Vec::with_capacity(n);
        for layer in &net.layers {
            relus.push(match layer.op {
                LayerOp::Relu | LayerOp::ReluTruncate { .. } => true,
                LayerOp::Clip { low: 0, .. } | LayerOp::ClipTruncate { .. } => options.fuse_clip_truncate,
                LayerOp::Flatten | LayerOp::View(_) | LayerOp::Truncate { .. } | LayerOp::Concat => {
                    layer.inputs.iter().all(|&input| relus[input])
                }
                _ => false,
            });
        }
        let mut uses = Self {
            live: vec![false; n],
            readers: vec![0; n],
            at_once: vec![false; n],
            products_alone: vec![true; n],
        };
        uses.live[n - 1] = true;
        uses.at_once[n - 1] = true;
        // The last layer seen to read it, so that one that reads it twice counts once.
        let mut reader = vec![n; n];
        for (index, layer) in net.layers.iter().enumerate().rev() {
            if !uses.live[index] {
                continue;
            }
            uses.at_once[index] |= uses.readers[index] > 1;
            let product = layer.op.matrix_shape().is_some();
            let needs = match layer.op {
                _ if product => true,
                LayerOp::Multiply => true,
                LayerOp::Flatten | LayerOp::View(_) => uses.at_once[index],
                LayerOp::Concat => uses.at_once[index] && options.fuse_relu_truncate && relus[index],
                _ => false,
            };
            for &input in &layer.inputs {
                uses.live[input] = true;
                uses.at_once[input] |= needs;
                uses.products_alone[input] &= product;
                uses.readers[input] += usize::from(reader[input] != index);
                reader[input] = index;
            }
        }
        uses
    }

    /// Whether nothing but the reader of old layer `index`, and truncations between, reads a ReLU of all elements.
    fn reads_relu_alone(&self, net: &Architecture, mut index: usize) -> bool {
        while self.readers[index] == 1 {
            let layer = &net.layers[index];
            match layer.op {
                LayerOp::Relu | LayerOp::ReluTruncate { .. } => return layer.keep.is_none(),
                LayerOp::Truncate { .. } => index = layer.inputs[0],
                _ => return false,
            }
        }
        false
    }
}

struct Rewriting<'a> {
    old: &'a Architecture,
    options: &'a Simplify,
    uses: Uses,
    /// In topological order, the needless among them.
    layers: Vec<Layer>,
    origins: Vec<Option<Origin>>,
    /// Of the old layers so far.
    values: Vec<Value>,
    /// New layers by what they truncate and by how much.
    truncated: HashMap<(usize, u32), usize>,
    /// New layers by what they shift up and by how much.
    shifted: HashMap<(usize, u32), usize>,
}

impl Rewriting<'_> {
    /// What stands for a live layer of the old network.
    fn layer(
        &mut self,
        index: usize,
        layer: &Layer,
        headroom: &mut dyn FnMut(&Layer, Shape) -> u32,
    ) -> Value {
        let x = layer.inputs.first().map_or(Value::whole(0), |&input| self.values[input]);
        let value = match layer.op {
            LayerOp::Input => Value::whole(self.emit(layer, layer.op, vec![], layer.frac_bits)),
            LayerOp::Conv(_) | LayerOp::Linear { .. } => {
                let input = self.old.layers[layer.inputs[0]].shape;
                // One that a transform is promised for already keeps it.
                let asked = match layer.op {
                    LayerOp::Conv(g) if g.headroom == 0 => headroom(layer, input),
                    _ => 0,
                };
                self.product(index, layer, x, asked)
            }
            LayerOp::Truncate { shift } => x.over(shift),
            LayerOp::Shift { bits } if bits <= x.pending => {
                Value { pending: x.pending - bits, mean: x.mean || x.pending == bits, ..x }
            }
            LayerOp::Shift { bits } => {
                let op = LayerOp::Shift { bits: bits - x.pending };
                Value::whole(self.emit(layer, op, vec![x.layer], layer.frac_bits))
            }
            LayerOp::Relu => self.same(layer, layer.op, x),
            LayerOp::ReluTruncate { shift } => self.same(layer, LayerOp::Relu, x).over(shift),
            LayerOp::Flatten | LayerOp::View(_) => self.view(layer, x),
            LayerOp::Smooth(_) | LayerOp::AvgPoolInside { .. } => {
                let x = self.forced(x);
                self.same(layer, layer.op, x)
            }
            LayerOp::Clip { low, high } => self.clip(layer, x, [low, high]),
            LayerOp::ClipTruncate { high, shift } => self.clip(layer, x, [0, high]).over(shift),
            LayerOp::MaxPool(_) => self.max_pool(layer, x),
            LayerOp::AvgPool { window, multiplier, shift } => {
                self.average(layer, x, window, multiplier, shift)
            }
            LayerOp::Add => self.sum(layer),
            LayerOp::Combine { .. } | LayerOp::Multiply => {
                let inputs = [0, 1].map(|operand| self.forced(self.values[layer.inputs[operand]]).layer);
                Value::whole(self.emit(layer, layer.op, inputs.to_vec(), layer.frac_bits))
            }
            LayerOp::Concat => self.concat(layer),
        };
        let needed = self.uses.at_once[index] && !value.mean;
        let shared = self.uses.readers[index] > 1 && !self.uses.products_alone[index];
        if needed || shared { self.forced(value) } else { value }
    }

    /// A product of the value, or of the layer that stands for it where that is a sum not yet divided.
    fn product(&mut self, index: usize, layer: &Layer, x: Value, asked: u32) -> Value {
        let headroom = if self.fits(layer.frac_bits, asked) { asked } else { 0 };
        let extra = if x.mean && self.fits(layer.frac_bits, x.pending.saturating_add(headroom)) {
            x.pending
        } else {
            0
        };
        let x = if extra == 0 { self.forced(x).layer } else { x.layer };
        let op = match layer.op {
            LayerOp::Conv(g) => LayerOp::Conv(ConvGeometry { headroom: g.headroom + headroom, ..g }),
            op => op,
        };
        let pending = extra + headroom;
        let y = self.emit(layer, op, vec![x], layer.frac_bits + pending);
        self.origins[y] = Some(Origin { layer: index, shift: pending });
        Value { layer: y, pending, mean: pending == 0 }
    }

    /// floor(clip(x, low * 2^p, high * 2^p) / 2^p) = clip(floor(x / 2^p), low, high).
    fn clip(&mut self, layer: &Layer, x: Value, bounds: [i64; 2]) -> Value {
        let width = self.old.width;
        let held =
            |&bound: &i64| width.to_signed(width.from_signed(bound << x.pending)) >> x.pending == bound;
        let x =
            if bounds.iter().all(held) && self.fits(layer.frac_bits, x.pending) { x } else { self.forced(x) };
        let [low, high] = bounds.map(|bound| bound << x.pending);
        self.same(layer, LayerOp::Clip { low, high }, x)
    }

    fn max_pool(&mut self, layer: &Layer, x: Value) -> Value {
        let input = layer.inputs[0];
        let (before, after) = (self.old.layers[input].shape.len(), layer.shape.len());
        let relu = &self.layers[x.layer];
        if after < before && relu.op == LayerOp::Relu && self.uses.reads_relu_alone(self.old, input) {
            let (name, inner) = (relu.name.clone(), Value { layer: relu.inputs[0], ..x });
            let inner = if self.fits(layer.frac_bits, x.pending) { inner } else { self.forced(inner) };
            // Without the ReLU the differences are up to twice as large.
            if self.fits(layer.frac_bits, inner.pending) {
                let pool = self.same(layer, layer.op, inner);
                let relu = Layer { name, ..layer.clone() };
                return self.same(&relu, LayerOp::Relu, pool);
            }
        }
        let x = if after <= before && self.fits(layer.frac_bits, x.pending) { x } else { self.forced(x) };
        self.same(layer, layer.op, x)
    }

    fn average(&mut self, layer: &Layer, x: Value, window: Window, multiplier: i64, shift: u32) -> Value {
        let input = &self.old.layers[layer.inputs[0]];
        let (scale, grows) = (input.frac_bits, layer.shape.len() > input.shape.len());
        let area = window.area() as u128;
        // Half a unit, by which the multiplier may be rounded up, does not count as growth.
        let product = if multiplier == 1 { area } else { area * multiplier as u128 - area / 2 };
        let log2 = |factor: u128| factor.next_power_of_two().trailing_zeros();
        // Neither the mean at its scale nor the product may grow too large.
        let undivided = |this: &Self, pending| {
            this.fits(layer.frac_bits, pending + shift) && this.fits(scale, pending + log2(product))
        };
        let mean = |this: &mut Self, x: Value, window| {
            let (shift, extra) = if undivided(this, x.pending) { (0, shift) } else { (shift, 0) };
            let op = LayerOp::AvgPool { window, multiplier, shift };
            let pending = x.pending + extra;
            Value { layer: this.emit(layer, op, vec![x.layer], layer.frac_bits + pending), pending, ..x }
        };
        if grows || x.pending == 0 || undivided(self, x.pending) {
            let x = if grows { self.forced(x) } else { x };
            return mean(self, x, window);
        }
        // A window of one element sums nothing: what would be truncated is the same.
        let idle = area == 1 && layer.shape == input.shape;
        if multiplier == 1 || idle || !self.fits(scale, x.pending + log2(area)) {
            let x = self.forced(x);
            return mean(self, x, window);
        }
        // The sum, truncated; then the product.
        let sum = Layer { name: format!("{}/sum", layer.name), ..layer.clone() };
        let op = LayerOp::AvgPool { window, multiplier: 1, shift: 0 };
        let sum = self.emit(&sum, op, vec![x.layer], scale + x.pending);
        let sum = self.forced(Value { layer: sum, ..x });
        mean(self, sum, Window::square(1, 1, 0))
    }

    /// Truncated before it is repeated, and where its padding would be truncated too.
    fn view(&mut self, layer: &Layer, x: Value) -> Value {
        let before = self.old.layers[layer.inputs[0]].shape.len();
        let x = if layer.shape.len() > before { self.forced(x) } else { x };
        self.same(layer, layer.op, x)
    }

    fn sum(&mut self, layer: &Layer) -> Value {
        let [a, b] = [0, 1].map(|operand| self.values[layer.inputs[operand]]);
        let pending = a.pending.max(b.pending);
        let fits = self.fits(layer.frac_bits, pending);
        let [a, b] = [a, b].map(|x| if fits { x } else { self.forced(x) });
        let pending = a.pending.max(b.pending);
        let inputs = [a, b].map(|x| self.shifted(x.layer, pending - x.pending, &layer.name)).to_vec();
        let y = self.emit(layer, layer.op, inputs, layer.frac_bits + pending);
        Value { layer: y, pending, mean: a.mean && b.mean }
    }

    fn concat(&mut self, layer: &Layer) -> Value {
        let values: Vec<Value> = layer.inputs.iter().map(|&input| self.values[input]).collect();
        let mut layers = HashSet::new();
        // One that is there twice would be truncated twice.
        let pass = values.iter().all(|x| x.pending == values[0].pending && layers.insert(x.layer));
        let values: Vec<Value> = values.into_iter().map(|x| if pass { x } else { self.forced(x) }).collect();
        let pending = values[0].pending;
        let inputs = values.iter().map(|x| x.layer).collect();
        let y = self.emit(layer, layer.op, inputs, layer.frac_bits + pending);
        Value { layer: y, pending, mean: values.iter().all(|x| x.mean) }
    }

    /// Whether a value at a scale of `frac_bits + more` keeps its integer bits.
    fn fits(&self, frac_bits: u32, more: u32) -> bool {
        let scale = u64::from(frac_bits) + u64::from(more);
        scale + u64::from(self.options.integer_bits.max(1)) <= self.old.width.bits().into()
    }

    /// The value at its old scale.
    fn forced(&mut self, x: Value) -> Value {
        if x.pending == 0 {
            return x;
        }
        if let Some(&layer) = self.truncated.get(&(x.layer, x.pending)) {
            return Value::whole(layer);
        }
        let long = &self.layers[x.layer];
        let (name, frac_bits) = (format!("{}/truncate", long.name), long.frac_bits - x.pending);
        let short = Layer { name, ..long.clone() };
        let y = self.emit(&short, LayerOp::Truncate { shift: x.pending }, vec![x.layer], frac_bits);
        self.truncated.insert((x.layer, x.pending), y);
        Value::whole(y)
    }

    /// The layer with its values shifted up for the layer called `reader`.
    fn shifted(&mut self, layer: usize, bits: u32, reader: &str) -> usize {
        if bits == 0 {
            return layer;
        }
        if let Some(&shifted) = self.shifted.get(&(layer, bits)) {
            return shifted;
        }
        let x = &self.layers[layer];
        let (name, frac_bits) = (format!("{reader}/shift"), x.frac_bits + bits);
        let long = Layer { name, ..x.clone() };
        let y = self.emit(&long, LayerOp::Shift { bits }, vec![layer], frac_bits);
        self.shifted.insert((layer, bits), y);
        y
    }

    /// A layer that leaves what is pending as it is.
    fn same(&mut self, like: &Layer, op: LayerOp, x: Value) -> Value {
        let frac_bits = self.layers[x.layer].frac_bits;
        Value { layer: self.emit(like, op, vec![x.layer], frac_bits), ..x }
    }

    /// Appends a layer of the name and shape of `like`, and of its mask where it is an activation.
    fn emit(&mut self, like: &Layer, op: LayerOp, inputs: Vec<usize>, frac_bits: u32) -> usize {
        let keep = like.keep.clone().filter(|_| op.is_activation());
        self.layers.push(Layer { name: like.name.clone(), op, inputs, shape: like.shape, frac_bits, keep });
        self.origins.push(None);
        self.layers.len() - 1
    }

    /// What `output` needs, ReLUs and clips made one with truncations, names made unique.
    fn finish(mut self, output: Value) -> (Architecture, Vec<Option<Origin>>) {
        self.layers.truncate(output.layer + 1);
        let mut readers = vec![0; self.layers.len()];
        readers[output.layer] = 1;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if readers[index] > 0 {
                layer.inputs.iter().for_each(|&input| readers[input] += 1);
            }
        }
        let Architecture { ref name, width, frac_bits, integer_bits, .. } = *self.old;
        let mut new = Architecture { name: name.clone(), width, frac_bits, integer_bits, layers: Vec::new() };
        let mut origins = Vec::new();
        let mut new_index = vec![0; self.layers.len()];
        let mut names = HashMap::new();
        for (index, (mut layer, origin)) in self.layers.into_iter().zip(self.origins).enumerate() {
            if readers[index] == 0 {
                continue;
            }
            if let (LayerOp::Truncate { shift }, &[input]) = (layer.op, &layer.inputs[..])
                && readers[input] == 1
                && let Some(op) = self.options.fused(width, new.layers[new_index[input]].op, shift)
            {
                new_index[index] = new_index[input];
                let fused = &mut new.layers[new_index[input]];
                (fused.op, fused.frac_bits) = (op, layer.frac_bits);
                continue;
            }
            layer.inputs.iter_mut().for_each(|input| *input = new_index[*input]);
            new_index[index] = new.layers.len();
            layer.name = unique(&mut names, layer.name);
            new.layers.push(layer);
            origins.push(origin);
        }
        (new, origins)
    }
}

/// The name, or with a number where it is taken; `names` are those taken, and the last number of each.
fn unique(names: &mut HashMap<String, usize>, name: String) -> String {
    let mut number = names.get(&name).copied().unwrap_or(1);
    let mut free = name.clone();
    while names.contains_key(&free) {
        number += 1;
        free = format!("{name} ({number})");
    }
    names.insert(name, number);
    names.entry(free.clone()).or_insert(1);
    free
}
