//! A network that others trained and exported, with its channels last and several outputs.

use crate::forward;
use copriv_import::{onnx, picture};
use copriv_ir::{PixelRange, Preprocessing, Shape};

const PNET: &[u8] = include_bytes!("../data/mtcnn/pnet.onnx");
const PICTURES: [&[u8]; 2] =
    [include_bytes!("../data/mtcnn/face.png"), include_bytes!("../data/mtcnn/no-face.png")];
const LOGITS: &[u8] = include_bytes!("../data/mtcnn/logits.npy");

#[test]
fn a_face_detector_computes_what_onnxruntime_computes() {
    let error = onnx::read(PNET, "pnet").unwrap_err().to_string();
    assert!(error.contains("--input-shape"), "{error}");
    let sized = onnx::Options { input: Some(vec![1, 12, 12, 3]), output: None };
    let error = onnx::read_with(PNET, "pnet", &sized).unwrap_err().to_string();
    assert!(error.contains("2 outputs (conv2d_4, softmax)") && error.contains("--output"), "{error}");

    let options = onnx::Options { output: Some("softmax".into()), ..sized };
    let graph = onnx::read_with(PNET, "pnet", &options).unwrap();
    graph.validate().unwrap();
    assert_eq!((graph.input_shape(), graph.output_shape().len()), (Shape::new(3, 12, 12), 2));
    // Its channels come first from the start: nothing is moved before the first convolution.
    let readers = graph.nodes.iter().filter(|node| node.inputs.iter().any(|input| input.0 == 0));
    assert_eq!(readers.map(|node| node.op.kind()).collect::<Vec<_>>(), ["conv"]);
    let bytes = Preprocessing {
        range: PixelRange::Byte,
        mean: vec![127.5],
        std: vec![128.0],
        ..Preprocessing::default()
    };
    let expected = picture::decode_batch(LOGITS, Shape::vector(2)).unwrap();
    for ((file, expected), face) in PICTURES.iter().zip(&expected).zip([true, false]) {
        let input = picture::decode_with(file, graph.input_shape(), &bytes).unwrap();
        let got = forward::logits(&graph, &input);
        forward::assert_close(&got, expected, 1e-5, "pnet");
        assert_eq!(got[1] > got[0], face);
    }
    assert_eq!(onnx::read(&onnx::write(&graph), "pnet").unwrap(), graph);
}
