use crate::limits::{MAX_ELEMENTS, MAX_SIDE, Work};
use crate::{ConvGeometry, Fault, View};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The shape of a feature map, batch 1; a vector of n elements is n x 1 x 1. Row-major: channel, row, column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// `channels` maps of `height` x `width`.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// A vector of `len` elements.
    pub const fn vector(len: usize) -> Self {
        Self::new(len, 1, 1)
    }

    /// Elements (`usize::MAX` where the product is larger; a checked shape never is).
    pub const fn len(self) -> usize {
        self.channels.saturating_mul(self.area())
    }

    /// Elements of one channel (`usize::MAX` where the product is larger).
    pub const fn area(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Whether there is no element; never so for a checked shape.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether this is a vector.
    pub const fn is_vector(self) -> bool {
        self.height == 1 && self.width == 1
    }

    /// Whether all dimensions are within [`limits`](crate::limits).
    ///
    /// # Errors
    /// [`Fault::Zero`] or [`Fault::TooLarge`].
    pub fn check(self) -> Result<(), Fault> {
        for (what, size, limit) in [
            ("number of channels", self.channels, MAX_ELEMENTS),
            ("height", self.height, MAX_SIDE),
            ("width", self.width, MAX_SIDE),
        ] {
            if size == 0 {
                return Err(Fault::Zero(what));
            }
            if size > limit {
                return Err(Fault::TooLarge { what: "rows, columns or channels", limit: limit as u64 });
            }
        }
        if self.len() > MAX_ELEMENTS {
            return Err(Fault::TooLarge { what: "elements in a tensor", limit: MAX_ELEMENTS as u64 });
        }
        Ok(())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// The window of a convolution or pool. Vertical first: `[vertical, horizontal]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps between outputs.
    pub stride: [usize; 2],
    /// Zeros around the map: top, left, bottom, right. May be uneven.
    pub padding: [usize; 4],
}

impl Window {
    /// A `kernel` x `kernel` window with the same stride and padding on all sides.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4] }
    }

    /// Positions of the kernel.
    pub const fn area(&self) -> usize {
        self.kernel[0].saturating_mul(self.kernel[1])
    }

    /// The shape after sliding over `input`, channels unchanged.
    ///
    /// ```
    /// use copriv_ir::{Shape, Window};
    /// let halved = Window::square(3, 2, 1).output_shape(Shape::new(64, 7, 8))?;
    /// assert_eq!(halved, Shape::new(64, 4, 4));
    /// # Ok::<(), copriv_ir::Fault>(())
    /// ```
    ///
    /// # Errors
    /// [`Fault::Zero`], [`Fault::TooLarge`] or [`Fault::KernelExceedsMap`].
    pub fn output_shape(&self, input: Shape) -> Result<Shape, Fault> {
        input.check()?;
        if self.kernel.contains(&0) {
            return Err(Fault::Zero("kernel"));
        }
        if self.stride.contains(&0) {
            return Err(Fault::Zero("stride"));
        }
        if self.kernel.iter().chain(&self.stride).chain(&self.padding).any(|&side| side > MAX_SIDE) {
            return Err(Fault::TooLarge { what: "rows or columns in a window", limit: MAX_SIDE as u64 });
        }
        // All terms are at most MAX_SIDE: no sum overflows.
        let [top, left, bottom, right] = self.padding;
        let padded = [input.height + top + bottom, input.width + left + right];
        if self.kernel[0] > padded[0] || self.kernel[1] > padded[1] {
            return Err(Fault::KernelExceedsMap { kernel: self.kernel, padded });
        }
        let size = |d: usize| (padded[d] - self.kernel[d]) / self.stride[d] + 1;
        let output = Shape::new(input.channels, size(0), size(1));
        output.check()?;
        Ok(output)
    }

    /// For each position of the output, row by row, how many positions of the window lie in the map.
    ///
    /// ```
    /// use copriv_ir::{Shape, Window};
    /// assert_eq!(Window::square(3, 2, 1).inside(Shape::new(1, 3, 4)), [4, 6, 4, 6]);
    /// ```
    pub fn inside(&self, input: Shape) -> Vec<usize> {
        let Ok(output) = self.output_shape(input) else { return Vec::new() };
        let count = |d: usize, size: usize, before: usize, o: usize| {
            let start = o * self.stride[d];
            (start + self.kernel[d]).min(size + before).saturating_sub(start.max(before))
        };
        let rows = (0..output.height).map(|o| count(0, input.height, self.padding[0], o));
        let columns: Vec<usize> =
            (0..output.width).map(|o| count(1, input.width, self.padding[1], o)).collect();
        rows.flat_map(|row| columns.iter().map(move |column| row * column)).collect()
    }

    /// As [`output_shape`](Self::output_shape), for a pool: every window must hold an element of the map.
    ///
    /// # Errors
    /// Also [`Fault::PoolPadding`].
    pub fn pool_shape(&self, input: Shape) -> Result<Shape, Fault> {
        let [top, left, bottom, right] = self.padding;
        // A window that starts above row 0 ends below it, and one that ends past the map starts inside.
        if top.max(bottom) >= self.kernel[0].max(1) || left.max(right) >= self.kernel[1].max(1) {
            return Err(Fault::PoolPadding { kernel: self.kernel, padding: self.padding });
        }
        self.output_shape(input)
    }
}

/// How a node's shape follows from its operands' shapes; graph nodes and lowered layers share these rules.
#[derive(Clone, Copy)]
pub(crate) enum Rule<'a> {
    Conv(ConvGeometry),
    Linear { inputs: usize, outputs: usize },
    Elementwise,
    Pool(&'a Window),
    GlobalPool,
    Add,
    Multiply,
    Concat,
    Flatten,
    View(&'a View),
}

/// The inferred shape, and what computing it costs.
pub(crate) struct Inferred {
    pub shape: Shape,
    pub weights: u64,
    pub work: Work,
}

impl Rule<'_> {
    pub(crate) fn infer(self, kind: &'static str, operands: &[Shape]) -> Result<Inferred, Fault> {
        let arity = |expected| Fault::Arity { kind, expected, got: operands.len() };
        let one = || if let &[x] = operands { Ok(x) } else { Err(arity("one")) };
        let free = |shape| Inferred { shape, weights: 0, work: Work::Products(0) };
        let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
        let inferred = match self {
            Rule::Conv(g) => {
                let shape = g.output_shape(one()?)?;
                let weights = product(g.out_channels, g.taps()).saturating_add(g.out_channels as u64);
                Inferred { shape, weights, work: Work::Products(product(shape.len(), g.taps())) }
            }
            Rule::Linear { inputs, outputs } => {
                let x = one()?;
                if !x.is_vector() {
                    return Err(Fault::NotAVector(x));
                }
                if x.channels != inputs {
                    return Err(Fault::Channels { expected: inputs, got: x.channels });
                }
                let work = product(inputs, outputs);
                let weights = work.saturating_add(outputs as u64);
                Inferred { shape: Shape::vector(outputs), weights, work: Work::Products(work) }
            }
            Rule::Elementwise => free(one()?),
            Rule::Pool(window) => {
                let shape = window.pool_shape(one()?)?;
                Inferred { shape, weights: 0, work: Work::Pool(product(shape.len(), window.area())) }
            }
            Rule::GlobalPool => free(Shape::vector(one()?.channels)),
            Rule::Add => {
                let &[a, b] = operands else { return Err(arity("two")) };
                if a != b {
                    return Err(Fault::ShapeMismatch { expected: a, got: b });
                }
                free(a)
            }
            Rule::Multiply => {
                let &[x, y] = operands else { return Err(arity("two")) };
                if y != x && y != Shape::vector(x.channels) {
                    return Err(Fault::Factors { x, y });
                }
                Inferred { shape: x, weights: 0, work: Work::Products(x.len() as u64) }
            }
            Rule::Concat => {
                let Some(&first) = operands.first() else { return Err(arity("at least one")) };
                let mut channels = 0usize;
                for &got in operands {
                    let expected = Shape { channels: got.channels, ..first };
                    if got != expected {
                        return Err(Fault::ShapeMismatch { expected, got });
                    }
                    channels = channels.saturating_add(got.channels);
                }
                free(Shape { channels, ..first })
            }
            Rule::Flatten => free(Shape::vector(one()?.len())),
            Rule::View(view) => {
                view.check(one()?.len())?;
                free(view.shape)
            }
        };
        inferred.shape.check()?;
        Ok(inferred)
    }
}
