use crate::limits::MAX_ELEMENTS;
use crate::{Fault, Shape};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The most axes of a [`View`].
pub const MAX_AXES: usize = 7;

/// Elements of an operand in other places: slices, transpositions, padding, repetition and whatever else moves elements by a rule for
/// each axis. It is local: nothing is sent.
///
/// Its elements, in their order, are those of an array of up to [`MAX_AXES`] axes. Axis k runs over i = 0..`size` and stands for
/// coordinate c = `start` + i * `step`. An element is element sum of c * `stride` of the operand where all coordinates are in 0..`len`,
/// and 0 elsewhere.
///
/// ```
/// use copriv_ir::{Axis, Shape, View};
/// // Two rows of three, transposed, with a row of zeros after it.
/// let axes = [Axis { size: 4, ..Axis::whole(3, 1) }, Axis::whole(2, 3)];
/// let view = View::new(Shape::new(1, 4, 2), &axes)?;
/// assert_eq!(view.apply(&[1, 2, 3, 4, 5, 6], 0), [1, 4, 2, 5, 3, 6, 0, 0]);
/// # Ok::<(), copriv_ir::Fault>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The shape of the result.
    pub shape: Shape,
    /// From the outermost to the innermost; those that are not needed come first, of size 1.
    pub axes: [Axis; MAX_AXES],
}

/// One axis of a [`View`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// How far it runs.
    pub size: u32,
    /// Its first coordinate.
    pub start: i32,
    /// The next coordinate less the one before.
    pub step: i32,
    /// Coordinates that the operand has.
    pub len: u32,
    /// Elements of the operand from one coordinate to the next.
    pub stride: u32,
}

impl Axis {
    /// All `len` coordinates in their order.
    pub const fn whole(len: u32, stride: u32) -> Self {
        Self { size: len, start: 0, step: 1, len, stride }
    }

    /// The same coordinate, the first, `size` times.
    pub const fn repeated(size: u32) -> Self {
        Self { size, start: 0, step: 0, len: 1, stride: 0 }
    }

    fn is_whole(&self) -> bool {
        self.start == 0 && self.size == self.len && (self.step == 1 || self.size == 1)
    }

    /// Its values of i whose coordinates the operand has.
    fn inside(&self) -> Range<usize> {
        let [size, start, step, len] =
            [self.size.into(), self.start.into(), self.step.into(), i64::from(self.len)];
        let range = match step {
            0 if (0..len).contains(&start) => 0..size,
            0 => 0..0,
            // The first i with start + i * step >= 0, and with start + i * step >= len.
            1.. => {
                let first = |least: i64| (least - start + step - 1).div_euclid(step).clamp(0, size);
                first(0)..first(len)
            }
            // The same from the other end.
            _ => {
                let first = |most: i64| (start - most - step - 1).div_euclid(-step).clamp(0, size);
                first(len - 1)..first(-1)
            }
        };
        range.start as usize..range.end.max(range.start) as usize
    }

    /// The coordinate at i, which must be inside.
    fn at(&self, i: usize) -> usize {
        (i64::from(self.start) + i as i64 * i64::from(self.step)) as usize
    }
}

impl View {
    /// The view of the given axes, of which neighbours that are one for the operand too are made one.
    ///
    /// # Errors
    /// [`Fault::ViewAxes`] when there are too many axes or they have not the elements of `shape`.
    pub fn new(shape: Shape, axes: &[Axis]) -> Result<Self, Fault> {
        let mut kept: Vec<Axis> = Vec::new();
        for &axis in axes.iter().filter(|axis| !(axis.is_whole() && axis.size == 1)) {
            match kept.last_mut() {
                Some(outer)
                    if outer.is_whole()
                        && axis.is_whole()
                        && u64::from(outer.stride) == u64::from(axis.stride) * u64::from(axis.size)
                        && u64::from(outer.size) * u64::from(axis.size) <= MAX_ELEMENTS as u64 =>
                {
                    *outer = Axis::whole(outer.size * axis.size, axis.stride);
                }
                Some(outer) if outer.step == 0 && outer.len == 1 && axis == Axis::repeated(axis.size) => {
                    outer.size = outer.size.saturating_mul(axis.size);
                }
                _ => kept.push(axis),
            }
        }
        let idle = MAX_AXES.checked_sub(kept.len()).ok_or(Fault::ViewAxes)?;
        let mut all = [Axis::whole(1, 0); MAX_AXES];
        all[idle..].copy_from_slice(&kept);
        let view = Self { shape, axes: all };
        view.elements().filter(|&elements| elements == shape.len()).map(|_| view).ok_or(Fault::ViewAxes)
    }

    /// The operand's elements in their order, as another shape.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] when there are too many.
    pub fn reshape(shape: Shape) -> Result<Self, Fault> {
        shape.check()?;
        Self::new(shape, &[Axis::whole(shape.len() as u32, 1)])
    }

    /// The view that has, of an operand of `elements` elements, those of the given places, and 0 for places that are no place of it;
    /// `None` where there is no view that does.
    ///
    /// ```
    /// use copriv_ir::{Shape, View};
    /// let view = View::find(Shape::vector(6), &[3, 0, 9, 4, 1, 9], 6).expect("an array of 2x3, padded");
    /// assert_eq!(view.apply(&[1, 2, 3, 4, 5, 6], 0), [4, 1, 0, 5, 2, 0]);
    /// assert_eq!(View::find(Shape::vector(3), &[0, 1, 3], 6), None);
    /// ```
    pub fn find(shape: Shape, places: &[usize], elements: usize) -> Option<Self> {
        if places.len() != shape.len() || shape.check().is_err() || !(1..=MAX_ELEMENTS).contains(&elements) {
            return None;
        }
        // No sum of a place and steps is it.
        const OUTSIDE: i64 = i64::MIN;
        // Places, of which those outside are all one; then of each block of the axes that are found its first that is inside.
        let mut places: Vec<i64> =
            places.iter().map(|&place| if place < elements { place as i64 } else { OUTSIDE }).collect();
        let mut axes = Vec::new();
        let mut base = 0;
        while let Some(first) = places.iter().position(|&place| place >= 0) {
            base = places[first];
            let count = places.len();
            if count == 1 {
                break;
            }
            // A row: places at equal distances, up to the next one that is not or is outside.
            let step = places.get(first + 1).filter(|&&next| next >= 0).map_or(0, |next| next - base);
            let mut end = first + 1;
            while end < count && places[end] >= 0 && places[end] - places[end - 1] == step {
                end += 1;
            }
            let row = end - first;
            let next = places[end..].iter().position(|&place| place >= 0);
            let size = next.map_or(count, |next| end + next - first);
            let offset = first % size;
            if !count.is_multiple_of(size) || offset + row > size {
                return None;
            }
            let mut heads = Vec::with_capacity(count / size);
            for block in places.chunks(size) {
                let head = block[offset];
                let fits = |(i, &place): (usize, &i64)| {
                    let inside = head >= 0 && (offset..offset + row).contains(&i);
                    place == if inside { head + (i - offset) as i64 * step } else { OUTSIDE }
                };
                if !block.iter().enumerate().all(fits) {
                    return None;
                }
                heads.push(head);
            }
            // Coordinates count up in the operand.
            let (start, up) = if step < 0 { ((offset + row - 1) as i32, -1) } else { (-(offset as i32), 1) };
            base += step.min(0) * (row as i64 - 1);
            let stride = step.unsigned_abs() as u32;
            axes.push(Axis { size: size as u32, start, step: up, len: row as u32, stride });
            places = heads;
            if step < 0 {
                places
                    .iter_mut()
                    .filter(|place| **place >= 0)
                    .for_each(|place| *place += step * (row as i64 - 1));
            }
        }
        if places.iter().all(|&place| place < 0) {
            // Nothing but zeros.
            axes.push(Axis { size: places.len() as u32, start: 1, step: 0, len: 1, stride: 0 });
        } else if base > 0 {
            axes.push(Axis { size: 1, start: base as i32, step: 1, len: base as u32 + 1, stride: 1 });
        }
        axes.reverse();
        Self::new(shape, &axes).ok().filter(|view| view.check(elements).is_ok())
    }

    /// Whether it is the operand of `elements` elements, in its order.
    pub fn is_identity(&self, elements: usize) -> bool {
        let (last, others) = (&self.axes[MAX_AXES - 1], &self.axes[..MAX_AXES - 1]);
        last.is_whole()
            && (last.stride == 1 || last.size == 1)
            && last.size as usize == elements
            && others.iter().all(|axis| axis.size == 1 && axis.is_whole())
    }

    fn elements(&self) -> Option<usize> {
        self.axes.iter().try_fold(1usize, |elements, axis| {
            elements.checked_mul(axis.size as usize).filter(|&elements| elements <= MAX_ELEMENTS)
        })
    }

    /// Whether it is one of an operand of `elements` elements.
    ///
    /// # Errors
    /// [`Fault::ViewAxes`] when its axes have not the elements of its shape, [`Fault::ViewRange`] when they reach beyond the operand.
    pub(crate) fn check(&self, elements: usize) -> Result<(), Fault> {
        self.shape.check()?;
        if self.elements() != Some(self.shape.len()) {
            return Err(Fault::ViewAxes);
        }
        let last = |sum: u128, axis: &Axis| {
            let len = u128::from(axis.len).checked_sub(1)?;
            Some(sum + len * u128::from(axis.stride))
        };
        match self.axes.iter().try_fold(0, last) {
            Some(last) if last < elements as u128 => Ok(()),
            _ => Err(Fault::ViewRange { elements }),
        }
    }

    /// Which element of the operand its element number `element` is; `None` where that is a zero.
    ///
    /// ```
    /// use copriv_ir::{Axis, Shape, View};
    /// let transposed = View::new(Shape::new(1, 3, 2), &[Axis::whole(3, 1), Axis::whole(2, 3)])?;
    /// assert_eq!(transposed.place(1), Some(3));
    /// # Ok::<(), copriv_ir::Fault>(())
    /// ```
    pub fn place(&self, element: usize) -> Option<usize> {
        let (mut rest, mut place) = (element, 0);
        for axis in self.axes.iter().rev().filter(|axis| !(axis.size == 1 && axis.is_whole())) {
            let i = rest % axis.size.max(1) as usize;
            rest /= axis.size.max(1) as usize;
            // |start|, |step| and i are below 2^32: no product overflows.
            let coordinate = i64::from(axis.start) + i as i64 * i64::from(axis.step);
            let coordinate = u32::try_from(coordinate).ok().filter(|&c| c < axis.len)?;
            place += coordinate as usize * axis.stride as usize;
        }
        (rest == 0).then_some(place)
    }

    /// The elements that it has of `x`, and `zero` where it has none.
    ///
    /// # Panics
    /// When it is not a view of so many elements, which the network that it is part of refuses.
    pub fn apply<T: Copy>(&self, x: &[T], zero: T) -> Vec<T> {
        let mut out = vec![zero; self.shape.len()];
        let idle = self.axes.iter().take_while(|axis| axis.size == 1 && axis.is_whole()).count();
        fill(&self.axes[idle..], x, 0, &mut out);
        out
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({}", self.shape)?;
        for Axis { size, start, step, len, stride } in
            self.axes.iter().filter(|axis| !(axis.size == 1 && axis.is_whole()))
        {
            write!(f, ", {size} from {start} by {step} of {len}, {stride} apart")?;
        }
        f.write_str(")")
    }
}

/// Fills `out` with the elements of `axes`, whose coordinates count from element `base` of `x`.
fn fill<T: Copy>(axes: &[Axis], x: &[T], base: usize, out: &mut [T]) {
    let Some((axis, inner)) = axes.split_first() else {
        out[0] = x[base];
        return;
    };
    let inside = axis.inside();
    let place = |i: usize| base + axis.at(i) * axis.stride as usize;
    if !inner.is_empty() {
        let size = out.len() / axis.size as usize;
        inside.for_each(|i| fill(inner, x, place(i), &mut out[i * size..][..size]));
    } else if inside.is_empty() {
        // Zeros.
    } else if axis.step == 1 && axis.stride == 1 {
        let first = place(inside.start);
        out[inside.clone()].copy_from_slice(&x[first..first + inside.len()]);
    } else {
        inside.for_each(|i| out[i] = x[place(i)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axes() -> impl Strategy<Value = Vec<Axis>> {
        let axis = (1u32..5, -4i32..7, -3i32..4, 1u32..5, 0u32..7)
            .prop_map(|(size, start, step, len, stride)| Axis { size, start, step, len, stride });
        proptest::collection::vec(axis, 0..=MAX_AXES)
    }

    /// The definition, one element at a time.
    fn defined(axes: &[Axis], x: &[u32]) -> Vec<u32> {
        let count: usize = axes.iter().map(|axis| axis.size as usize).product();
        let element = |mut element: usize| {
            let mut place = 0;
            for axis in axes.iter().rev() {
                let i = element % axis.size as usize;
                element /= axis.size as usize;
                let c = i64::from(axis.start) + i as i64 * i64::from(axis.step);
                if !(0..i64::from(axis.len)).contains(&c) {
                    return 0;
                }
                place += c as usize * axis.stride as usize;
            }
            x[place]
        };
        (0..count).map(element).collect()
    }

    proptest! {
        #[test]
        fn views_are_as_defined(axes in axes()) {
            let reach: usize = axes.iter().map(|axis| (axis.len as usize - 1) * axis.stride as usize).sum();
            let x: Vec<u32> = (1..=reach as u32 + 1).collect();
            let expected = defined(&axes, &x);
            let view = View::new(Shape::vector(expected.len()), &axes).expect("few axes");
            view.check(x.len()).expect("in range");
            // An axis of one element may be left out.
            let least = view.axes.iter().map(|axis| (axis.len as usize - 1) * axis.stride as usize).sum::<usize>();
            prop_assert!(view.check(least).is_err());
            prop_assert_eq!(view.apply(&x, 0), expected.clone());
            let placed = |element| view.place(element).map_or(0, |place| x[place]);
            prop_assert_eq!((0..expected.len()).map(placed).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(view.place(expected.len()), None);
            prop_assert_eq!(view.is_identity(x.len()), view.is_identity(x.len()) && expected == x);
        }
    }

    proptest! {
        /// Of places that a view has, a view is found; unless it has too many axes, where the row that begins outside needs its own.
        #[test]
        fn views_are_found(
            dims in proptest::collection::vec(1u32..4, 1..4), order: u64,
            cuts in proptest::array::uniform3((-2i32..3, any::<bool>(), -2i32..3))
        ) {
            let mut stride = 1;
            let mut axes: Vec<Axis> = dims.iter().rev().zip(cuts).map(|(&len, (before, back, after))| {
                let whole = Axis::whole(len, stride);
                stride *= len;
                let size = (len as i32 + before + after).max(1) as u32;
                if back { Axis { size, start: len as i32 - 1 + before, step: -1, ..whole } } else { Axis { size, start: -before, ..whole } }
            }).collect();
            let turn = order as usize % axes.len();
            axes.rotate_left(turn);
            let elements = stride as usize;
            let places: Vec<usize> = (0..elements).collect();
            let count = axes.iter().map(|axis| axis.size as usize).product();
            let view = View::new(Shape::vector(count), &axes).expect("three axes");
            let places = view.apply(&places, usize::MAX);
            let found = View::find(Shape::vector(count), &places, elements).expect("a view");
            let all: Vec<usize> = (0..elements).collect();
            prop_assert_eq!(found.apply(&all, usize::MAX), places);
        }

        /// What is found is what was asked for.
        #[test]
        fn what_is_found_is_right(places in proptest::collection::vec(0usize..6, 1..9)) {
            let all: Vec<usize> = (0..5).collect();
            if let Some(view) = View::find(Shape::vector(places.len()), &places, 5) {
                prop_assert_eq!(view.apply(&all, 5), places);
            }
        }
    }

    /// A step that would end at -1 ends outside by itself.
    #[test]
    fn no_place_is_below_zero() {
        assert_eq!(View::find(Shape::vector(4), &[4, 2, 1, 5], 5), None);
    }

    #[test]
    fn axes_that_are_one_are_made_one() {
        let shape = Shape::new(2, 3, 4);
        let rows = [Axis::whole(2, 12), Axis::whole(3, 4), Axis::whole(4, 1)];
        let view = View::new(shape, &rows).expect("a view");
        assert_eq!(view, View::reshape(shape).expect("a view"));
        assert!(view.is_identity(24));
        let mixed = [Axis::whole(3, 4), Axis::whole(2, 12), Axis::whole(4, 1)];
        assert!(!View::new(shape, &mixed).expect("a view").is_identity(24));
        let spread: Vec<Axis> = (0..=MAX_AXES as u32).map(|i| Axis::whole(2, 3u32.pow(i))).collect();
        assert_eq!(View::new(Shape::vector(2 << MAX_AXES), &spread), Err(Fault::ViewAxes));
        assert_eq!(View::new(Shape::vector(23), &rows), Err(Fault::ViewAxes));
    }

    #[test]
    fn hostile_views_are_refused() {
        let axis = Axis::whole(4, 1);
        let of = |axis: Axis| {
            let mut axes = [Axis::whole(1, 0); MAX_AXES];
            axes[MAX_AXES - 1] = axis;
            View { shape: Shape::vector(4), axes }.check(4)
        };
        assert_eq!(of(axis), Ok(()));
        assert_eq!(of(Axis { start: i32::MIN, step: i32::MAX, ..axis }), Ok(()));
        for wrong in [
            Axis { size: 0, ..axis },
            Axis { size: u32::MAX, ..axis },
            Axis { len: 0, ..axis },
            Axis { len: 5, ..axis },
            Axis { len: u32::MAX, stride: u32::MAX, ..axis },
            Axis { stride: 2, ..axis },
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
        let mut axes = [Axis { size: 1 << 20, ..axis }; MAX_AXES];
        axes[0].size = 1 << 31;
        assert_eq!(View { shape: Shape::vector(4), axes }.check(4), Err(Fault::ViewAxes));
    }

    #[test]
    fn extreme_steps_end() {
        for (start, step) in
            [(i32::MIN, i32::MAX), (i32::MAX, i32::MIN), (i32::MAX, 1), (i32::MIN, 0), (0, i32::MIN)]
        {
            let axis = Axis { size: 3, start, step, len: 2, stride: 1 };
            let view = View::new(Shape::vector(3), &[axis]).expect("a view");
            assert_eq!(view.apply(&[1, 2], 0), defined(&[axis], &[1, 2]));
        }
    }
}
