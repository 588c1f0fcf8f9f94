//! Losses.

use crate::recipe::Distill;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor, TensorData};

/// The mean over pictures of the cross-entropy of `logits` (picture, class) with `labels`, of which `smoothing` is spread
/// evenly over all classes (Szegedy et al. 2016).
///
/// # Panics
/// When there are not as many labels as pictures, or one is no class.
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize], smoothing: f32) -> Tensor<1> {
    let [pictures, classes] = logits.dims();
    assert!(labels.len() == pictures && labels.iter().all(|&l| l < classes), "a label for each picture");
    let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [pictures, 1]), &logits.device());
    let logs = log_softmax(logits, 1);
    let right = logs.clone().gather(1, labels).mean().neg();
    if smoothing == 0.0 {
        right
    } else {
        right.mul_scalar(1.0 - smoothing) + logs.mean().neg().mul_scalar(smoothing)
    }
}

/// The mean over pictures of the divergence KL(teacher, student) of classes at temperature T, times T² (Hinton et al. 2015).
pub fn distillation(logits: Tensor<2>, teacher: Tensor<2>, temperature: f32) -> Tensor<1> {
    let pictures = logits.dims()[0] as f32;
    let student = log_softmax(logits.div_scalar(temperature), 1);
    let teacher = teacher.div_scalar(temperature);
    let (parts, logs) = (softmax(teacher.clone(), 1), log_softmax(teacher, 1));
    (parts * (logs - student)).sum().mul_scalar(temperature * temperature / pictures)
}

/// Both, as `distill` weighs them.
pub fn loss(
    logits: Tensor<2>,
    labels: &[usize],
    smoothing: f32,
    teacher: Option<(Tensor<2>, Distill)>,
) -> Tensor<1> {
    match teacher {
        None => cross_entropy(logits, labels, smoothing),
        Some((teacher, Distill { weight, temperature })) => {
            let by_teacher = distillation(logits.clone(), teacher, temperature);
            by_teacher.mul_scalar(weight) + cross_entropy(logits, labels, smoothing).mul_scalar(1.0 - weight)
        }
    }
}

/// How many of the pictures have their label as the largest logit.
pub fn right(logits: &[f32], labels: &[usize]) -> usize {
    let classes = logits.len() / labels.len().max(1);
    let largest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
    logits.chunks(classes.max(1)).zip(labels).filter(|(row, label)| largest(row) == Some(**label)).count()
}
