"""The hand graph as texts, for models of any geometry: the same calculators as MediaPipe's files,
whose options follow from the geometry of a pack.
"""

from handheld.graph.text import LIBRARY, parse_graph
from handheld.hands.mediapipe import mediapipe_calculators

LABELS = {"handedness.txt": b"Left\nRight\n"}

PALMS = """
type: "Palms"
input_stream: "IMAGE:image"
output_stream: "DETECTIONS:detections"
node {{
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input" output_stream: "LETTERBOX_PADDING:padding"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {size} output_tensor_height: {size} keep_aspect_ratio: true
    output_tensor_float_range {{ min: 0 max: 1 }} border_mode: BORDER_ZERO
  }} }}
}}
node {{
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:input" output_stream: "TENSORS:tensors"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{ model_path: "palm.tflite" }} }}
}}
node {{
  calculator: "SsdAnchorsCalculator"
  output_side_packet: "anchors"
  options {{ [mediapipe.SsdAnchorsCalculatorOptions.ext] {{
    num_layers: {layers} min_scale: 0.1 max_scale: 0.7
    input_size_width: {size} input_size_height: {size}
    strides: {strides} aspect_ratios: 1.0 fixed_anchor_size: true
    interpolated_scale_aspect_ratio: {second}
  }} }}
}}
node {{
  calculator: "TensorsToDetectionsCalculator"
  input_stream: "TENSORS:tensors" input_side_packet: "ANCHORS:anchors"
  output_stream: "DETECTIONS:all"
  options {{ [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {{
    num_classes: 1 num_boxes: {boxes} num_coords: 18 keypoint_coord_offset: 4 num_keypoints: 7
    sigmoid_score: true score_clipping_thresh: 100 reverse_output_order: true
    x_scale: {size} y_scale: {size} w_scale: {size} h_scale: {size} min_score_thresh: {score}
  }} }}
}}
node {{
  calculator: "NonMaxSuppressionCalculator"
  input_stream: "all" output_stream: "best"
  options {{ [mediapipe.NonMaxSuppressionCalculatorOptions.ext] {{
    min_suppression_threshold: 0.3 overlap_type: INTERSECTION_OVER_UNION algorithm: WEIGHTED
  }} }}
}}
node {{
  calculator: "DetectionLetterboxRemovalCalculator"
  input_stream: "DETECTIONS:best" input_stream: "LETTERBOX_PADDING:padding"
  output_stream: "DETECTIONS:detections"
}}
"""

LANDMARKS = """
type: "Landmarks"
input_stream: "IMAGE:image"
input_stream: "ROI:roi"
input_side_packet: "MODEL_COMPLEXITY:model_complexity"
output_stream: "LANDMARKS:landmarks"
output_stream: "WORLD_LANDMARKS:world"
output_stream: "HANDEDNESS:handedness"
node {{
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image" input_stream: "NORM_RECT:roi"
  output_stream: "TENSORS:input" output_stream: "LETTERBOX_PADDING:padding"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {size} output_tensor_height: {size} keep_aspect_ratio: true
    output_tensor_float_range {{ min: 0 max: 1 }}
  }} }}
}}
node {{
  calculator: "SwitchContainer"
  input_side_packet: "SELECT:model_complexity" output_side_packet: "PACKET:path"
  options {{ [mediapipe.SwitchContainerOptions.ext] {{
    select: 1
    contained_node: {{ calculator: "ConstantSidePacketCalculator" options {{
      [mediapipe.ConstantSidePacketCalculatorOptions.ext] {{ packet {{ string_value: "none" }} }}
    }} }}
    contained_node: {{ calculator: "ConstantSidePacketCalculator" options {{
      [mediapipe.ConstantSidePacketCalculatorOptions.ext] {{
        packet {{ string_value: "landmark.tflite" }}
      }}
    }} }}
  }} }}
}}
node {{
  calculator: "ResourceProviderCalculator"
  input_side_packet: "RESOURCE_ID:path" output_side_packet: "RESOURCE:resource"
}}
node {{
  calculator: "TfLiteModelCalculator"
  input_side_packet: "MODEL_RESOURCE:resource" output_side_packet: "MODEL:model"
}}
node {{
  calculator: "InferenceCalculator"
  input_side_packet: "MODEL:model" input_stream: "TENSORS:input" output_stream: "TENSORS:tensors"
}}
node {{
  calculator: "SplitTensorVectorCalculator"
  input_stream: "tensors"
  output_stream: "points" output_stream: "flag" output_stream: "side" output_stream: "metres"
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{
    ranges {{ begin: 0 end: 1 }} ranges {{ begin: 1 end: 2 }}
    ranges {{ begin: 2 end: 3 }} ranges {{ begin: 3 end: 4 }}
  }} }}
}}
node {{
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:flag" output_stream: "FLOAT:presence"
}}
node {{
  calculator: "ThresholdingCalculator"
  input_stream: "FLOAT:presence" output_stream: "FLAG:is_hand"
  options {{ [mediapipe.ThresholdingCalculatorOptions.ext] {{ threshold: 0.5 }} }}
}}
node {{
  calculator: "GateCalculator"
  input_stream: "points" input_stream: "side" input_stream: "metres" input_stream: "ALLOW:is_hand"
  output_stream: "some_points" output_stream: "some_side" output_stream: "some_metres"
}}
node {{
  calculator: "TensorsToClassificationCalculator"
  input_stream: "TENSORS:some_side" output_stream: "CLASSIFICATIONS:handedness"
  options {{ [mediapipe.TensorsToClassificationCalculatorOptions.ext] {{
    top_k: 1 label_map_path: "handedness.txt" binary_classification: true
  }} }}
}}
node {{
  calculator: "TensorsToLandmarksCalculator"
  input_stream: "TENSORS:some_points" output_stream: "NORM_LANDMARKS:in_tensor"
  options {{ [mediapipe.TensorsToLandmarksCalculatorOptions.ext] {{
    num_landmarks: 21 input_image_width: {size} input_image_height: {size} normalize_z: {depth}
  }} }}
}}
node {{
  calculator: "LandmarkLetterboxRemovalCalculator"
  input_stream: "LANDMARKS:in_tensor" input_stream: "LETTERBOX_PADDING:padding"
  output_stream: "LANDMARKS:in_roi"
}}
node {{
  calculator: "LandmarkProjectionCalculator"
  input_stream: "NORM_LANDMARKS:in_roi" input_stream: "NORM_RECT:roi"
  output_stream: "NORM_LANDMARKS:landmarks"
}}
node {{
  calculator: "TensorsToLandmarksCalculator"
  input_stream: "TENSORS:some_metres" output_stream: "LANDMARKS:upright"
  options {{ [mediapipe.TensorsToLandmarksCalculatorOptions.ext] {{ num_landmarks: 21 }} }}
}}
node {{
  calculator: "WorldLandmarkProjectionCalculator"
  input_stream: "LANDMARKS:upright" input_stream: "NORM_RECT:roi"
  output_stream: "LANDMARKS:world"
}}
"""

HANDS = """
input_stream: "IMAGE:image"
input_side_packet: "NUM_HANDS:num_hands"
output_stream: "LANDMARKS:hands"
output_stream: "WORLD_LANDMARKS:worlds"
output_stream: "HANDEDNESS:sides"
output_stream: "ROIS:next_rois"
node {
  calculator: "NormalizedRectVectorHasMinSizeCalculator"
  input_stream: "ITERABLE:last_rois" input_side_packet: "num_hands"
  output_stream: "has_enough"
}
node {
  calculator: "GateCalculator"
  input_stream: "image" input_stream: "DISALLOW:has_enough" output_stream: "palm_image"
  options { [mediapipe.GateCalculatorOptions.ext] { empty_packets_as_allow: true } }
}
node {
  calculator: "Palms"
  input_stream: "IMAGE:palm_image" output_stream: "DETECTIONS:all_palms"
}
node {
  calculator: "ClipDetectionVectorSizeCalculator"
  input_stream: "all_palms" input_side_packet: "num_hands" output_stream: "palms"
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE:palm_image" output_stream: "SIZE:palm_size"
}
node {
  calculator: "BeginLoopDetectionCalculator"
  input_stream: "ITERABLE:palms" input_stream: "CLONE:palm_size"
  output_stream: "ITEM:palm" output_stream: "CLONE:size_of_palm" output_stream: "BATCH_END:palm_end"
}
node {
  calculator: "DetectionsToRectsCalculator"
  input_stream: "DETECTION:palm" input_stream: "IMAGE_SIZE:size_of_palm"
  output_stream: "NORM_RECT:palm_box"
  options { [mediapipe.DetectionsToRectsCalculatorOptions.ext] {
    rotation_vector_start_keypoint_index: 0 rotation_vector_end_keypoint_index: 2
    rotation_vector_target_angle_degrees: 90
  } }
}
node {
  calculator: "RectTransformationCalculator"
  input_stream: "NORM_RECT:palm_box" input_stream: "IMAGE_SIZE:size_of_palm"
  output_stream: "palm_roi"
  options { [mediapipe.RectTransformationCalculatorOptions.ext] {
    scale_x: 2.6 scale_y: 2.6 shift_y: -0.5 square_long: true
  } }
}
node {
  calculator: "EndLoopNormalizedRectCalculator"
  input_stream: "ITEM:palm_roi" input_stream: "BATCH_END:palm_end"
  output_stream: "ITERABLE:palm_rois"
}
node {
  calculator: "AssociationNormRectCalculator"
  input_stream: "palm_rois" input_stream: "last_rois" output_stream: "rois"
  options { [mediapipe.AssociationCalculatorOptions.ext] { min_similarity_threshold: 0.5 } }
}
node {
  calculator: "ImagePropertiesCalculator"
  input_stream: "IMAGE_CPU:image" output_stream: "SIZE:size"
}
node {
  calculator: "BeginLoopNormalizedRectCalculator"
  input_stream: "ITERABLE:rois" input_stream: "CLONE:0:image" input_stream: "CLONE:1:size"
  output_stream: "ITEM:roi" output_stream: "CLONE:0:image_of_roi"
  output_stream: "CLONE:1:size_of_roi"
  output_stream: "BATCH_END:end"
}
node {
  calculator: "Landmarks"
  input_stream: "IMAGE:image_of_roi" input_stream: "ROI:roi"
  output_stream: "LANDMARKS:hand" output_stream: "WORLD_LANDMARKS:world"
  output_stream: "HANDEDNESS:side"
}
node {
  calculator: "HandLandmarksToRectCalculator"
  input_stream: "NORM_LANDMARKS:hand" input_stream: "IMAGE_SIZE:size_of_roi"
  output_stream: "NORM_RECT:box"
}
node {
  calculator: "RectTransformationCalculator"
  input_stream: "NORM_RECT:box" input_stream: "IMAGE_SIZE:size_of_roi" output_stream: "next_roi"
  options { [mediapipe.RectTransformationCalculatorOptions.ext] {
    scale_x: 2.0 scale_y: 2.0 shift_y: -0.1 square_long: true
  } }
}
node {
  calculator: "EndLoopNormalizedLandmarkListVectorCalculator"
  input_stream: "ITEM:hand" input_stream: "BATCH_END:end" output_stream: "ITERABLE:hands"
}
node {
  calculator: "EndLoopLandmarkListVectorCalculator"
  input_stream: "ITEM:world" input_stream: "BATCH_END:end" output_stream: "ITERABLE:worlds"
}
node {
  calculator: "EndLoopClassificationListCalculator"
  input_stream: "ITEM:side" input_stream: "BATCH_END:end" output_stream: "ITERABLE:sides"
}
node {
  calculator: "EndLoopNormalizedRectCalculator"
  input_stream: "ITEM:next_roi" input_stream: "BATCH_END:end" output_stream: "ITERABLE:next_rois"
}
node {
  calculator: "PreviousLoopbackCalculator"
  input_stream: "MAIN:image" input_stream: "LOOP:next_rois"
  input_stream_info: { tag_index: "LOOP" back_edge: true }
  output_stream: "PREV_LOOP:last_rois"
}
"""


def subgraph_texts(pack):
    """Return the texts of the two subgraphs for a pack's models."""
    palm, landmark = pack.palm_geometry, pack.landmark_geometry
    strides = [palm.size // cells for cells, _ in palm.grids]
    # MediaPipe's layout has two anchors in each cell of a layer; three layers of one stride, six.
    counts = [count for _, count in palm.grids]
    second = 1.0 if min(counts) > 1 else 0.0
    layers = []
    for stride, count in zip(strides, counts, strict=True):
        layers += [stride] * (count // 2 if second else count)
    palms = PALMS.format(
        size=palm.size,
        layers=len(layers),
        strides=layers,
        second=second,
        boxes=palm.anchors,
        score=pack.palm_score,
    )
    return palms, LANDMARKS.format(size=landmark.size, depth=landmark.depth_scale)


def hand_graph_text():
    """Return the graph that uses the two subgraphs."""
    return parse_graph(HANDS, "hands.pbtxt")


def registry_of_pack(pack):
    """Return what the graph needs, with the models of a pack."""
    files = {"palm.tflite": pack.palm.read_bytes(), "landmark.tflite": pack.landmark.read_bytes()}
    registry = mediapipe_calculators(files | LABELS) | LIBRARY
    return registry.with_subgraphs(*(parse_graph(text) for text in subgraph_texts(pack)))
