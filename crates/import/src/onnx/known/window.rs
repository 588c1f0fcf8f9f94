//! Windows of convolutions and pools, over any number of axes.

use super::super::import::Trouble;
use super::call::Call;

/// A window that slides over a map; each list has a number per axis of the map.
pub(super) struct Window {
    /// The map.
    pub(super) input: Vec<usize>,
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    /// Padding before and after the map.
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
    /// How many windows there are.
    pub(super) output: Vec<usize>,
}

/// How the padding is found where it is not stated.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Auto {
    /// It is stated.
    Off,
    None,
    /// As many outputs as strides begin in the map; what is odd goes after it, or before it.
    Upper,
    Lower,
}

impl Auto {
    pub(super) fn of(call: &Call) -> Result<Self, Trouble> {
        match call.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Ok(Self::Off),
            "VALID" => Ok(Self::None),
            "SAME_UPPER" => Ok(Self::Upper),
            "SAME_LOWER" => Ok(Self::Lower),
            other => Err(format!("auto_pad {} is not supported", super::super::import::shown(other)).into()),
        }
    }

    /// `total` as what goes before and after the map.
    pub(super) fn share(self, total: usize) -> (usize, usize) {
        let (less, more) = (total / 2, total - total / 2);
        if self == Self::Upper { (less, more) } else { (more, less) }
    }
}

impl Window {
    /// The window that the attributes of a node describe, with one output.
    ///
    /// Sizes are below 2^31, so that all products of two are words.
    pub(super) fn new(call: &Call, kernel: Option<&[usize]>, input: &[usize]) -> Result<Self, Trouble> {
        let rank = input.len();
        let kernel = match (kernel, call.sizes("kernel_shape", rank)?) {
            (Some(kernel), Some(stated)) if kernel != stated => {
                return Err(format!("kernel_shape {stated:?} is not that of its weights, {kernel:?}").into());
            }
            (Some(kernel), _) => kernel.to_vec(),
            (None, Some(kernel)) => kernel,
            (None, None) => return Err("it has no kernel_shape".into()),
        };
        let stride = call.sizes("strides", rank)?.unwrap_or(vec![1; rank]);
        let dilation = call.sizes("dilations", rank)?.unwrap_or(vec![1; rank]);
        if kernel.len() != rank || [&kernel, &stride, &dilation].iter().any(|list| list.contains(&0)) {
            return Err(format!(
                "kernel {kernel:?}, strides {stride:?} or dilations {dilation:?} do not fit"
            )
            .into());
        }
        let mut before = call.sizes("pads", 2 * rank)?.unwrap_or(vec![0; 2 * rank]);
        let after = before.split_off(rank);
        Ok(Self { input: input.to_vec(), kernel, stride, dilation, before, after, output: vec![1; rank] })
    }

    /// The window of a convolution or pool, with its padding and outputs; `ceil` rounds these up.
    pub(super) fn sliding(
        call: &Call,
        kernel: Option<&[usize]>,
        input: &[usize],
        ceil: bool,
    ) -> Result<Self, Trouble> {
        let mut window = Self::new(call, kernel, input)?;
        let auto = Auto::of(call)?;
        for (axis, &size) in input.iter().enumerate() {
            let (stride, extent) = (window.stride[axis], window.extent(axis));
            match auto {
                Auto::Off => {}
                Auto::None => (window.before[axis], window.after[axis]) = (0, 0),
                Auto::Upper | Auto::Lower => {
                    let starts = size.div_ceil(stride).saturating_sub(1) * stride;
                    let total = starts.saturating_add(extent).saturating_sub(size);
                    (window.before[axis], window.after[axis]) = auto.share(total);
                }
            }
            let padded = size + window.before[axis] + window.after[axis];
            let Some(room) = padded.checked_sub(extent) else {
                return Err(format!("its window of {extent} is larger than the padded map, {padded}").into());
            };
            let mut steps = if ceil { room.div_ceil(stride) } else { room / stride };
            // A last window that would start in the padding is left out.
            if ceil && steps > 0 && steps * stride >= size + window.before[axis] {
                steps -= 1;
            }
            window.output[axis] = steps + 1;
        }
        Ok(window)
    }

    /// From the first to the last element of a window.
    pub(super) fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// How many elements of the window at `position` lie in the map or its padding.
    pub(super) fn covered(&self, position: &[usize]) -> usize {
        let inside = |axis: usize| {
            let padded = self.input[axis] + self.before[axis] + self.after[axis];
            let room = padded.saturating_sub(position[axis] * self.stride[axis]);
            room.div_ceil(self.dilation[axis]).min(self.kernel[axis])
        };
        (0..position.len()).map(inside).product()
    }

    /// Visits each window: its position, its number, and the elements that lie in the map as its offset
    /// in the kernel and in the map. These are never more than either has.
    pub(super) fn each(&self, mut visit: impl FnMut(&[usize], usize, &[(usize, usize)])) {
        let mut position = vec![0; self.output.len()];
        let (mut taps, mut grown) = (Vec::new(), Vec::new());
        for number in 0..self.output.iter().product() {
            taps.clear();
            taps.push((0, 0));
            for (axis, &index) in position.iter().enumerate() {
                let start = index * self.stride[axis];
                grown.clear();
                for &(in_kernel, in_map) in &taps {
                    for k in 0..self.kernel[axis] {
                        let index = (start + k * self.dilation[axis]).checked_sub(self.before[axis]);
                        if let Some(index) = index.filter(|&index| index < self.input[axis]) {
                            grown
                                .push((in_kernel * self.kernel[axis] + k, in_map * self.input[axis] + index));
                        }
                    }
                }
                std::mem::swap(&mut taps, &mut grown);
            }
            visit(&position, number, &taps);
            for axis in (0..position.len()).rev() {
                position[axis] += 1;
                if position[axis] < self.output[axis] {
                    break;
                }
                position[axis] = 0;
            }
        }
    }
}

/// The batch, the channels and the map of a tensor N,C,….
pub(super) fn map(dims: &[usize]) -> Result<(usize, usize, &[usize]), Trouble> {
    match dims {
        [batch, channels, map @ ..] if !map.is_empty() => Ok((*batch, *channels, map)),
        _ => Err(format!("its input has dimensions {dims:?}, not N,C and a map").into()),
    }
}
