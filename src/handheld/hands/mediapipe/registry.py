"""MediaPipe's calculators under their names, as a value that is joined with a graph's library."""

from functools import partial

from handheld.graph.text import Registry
from handheld.hands.mediapipe import (
    anchors,
    decoding,
    detections,
    images,
    inference,
    landmarks,
    lists,
    rects,
    suppression,
    tensors,
)
from handheld.hands.mediapipe.resources import MEDIAPIPE_FILES, Resources


def mediapipe_calculators(files: Resources = MEDIAPIPE_FILES) -> Registry:
    """Return the calculators of MediaPipe's hand and face detection graphs, under their names.

    >>> from handheld.graph.text import LIBRARY
    >>> from handheld.hands.mediapipe import mediapipe_calculators
    >>> registry = mediapipe_calculators({"my/model.tflite": b"..."}) | LIBRARY
    >>> "InferenceCalculator" in list(registry)
    True

    Args:
        files: path -> content, of what graphs may name: models and label maps. By default those of
            MediaPipe's hand models; :class:`FolderFiles` takes them from a folder.
    """
    return calculators_of_files(files) | _PLAIN


_PLAIN = (
    Registry()
    .add("ImageToTensorCalculator", images.image_to_tensor_calculator)
    .add("ImagePropertiesCalculator", images.image_properties_calculator)
    .add("ImageTransformationCalculator", images.image_transformation_calculator)
    .add("FromImageCalculator", images.FromImage)
    .add("ToImageCalculator", images.to_image_calculator)
    .add("SsdAnchorsCalculator", anchors.ssd_anchors_calculator)
    .add("TfLiteModelCalculator", inference.tflite_model_calculator)
    .add("TfLiteCustomOpResolverCalculator", inference.op_resolver_calculator)
    .add("TensorsToDetectionsCalculator", decoding.tensors_to_detections_calculator)
    .add("NonMaxSuppressionCalculator", suppression.non_max_suppression_calculator)
    .add("DetectionLetterboxRemovalCalculator", detections.detection_letterbox_removal_calculator)
    .add("DetectionProjectionCalculator", detections.detection_projection_calculator)
    .add("DetectionsToRectsCalculator", detections.detections_to_rects_calculator)
    .add("LandmarksToDetectionCalculator", detections.landmarks_to_detection_calculator)
    .add("RectTransformationCalculator", rects.rect_transformation_calculator)
    .add("HandLandmarksToRectCalculator", rects.hand_landmarks_to_rect_calculator)
    .add("AssociationNormRectCalculator", rects.association_norm_rect_calculator)
    .add("TensorsToFloatsCalculator", tensors.tensors_to_floats_calculator)
    .add("ThresholdingCalculator", tensors.thresholding_calculator)
    .add("TensorsToLandmarksCalculator", landmarks.tensors_to_landmarks_calculator)
    .add("LandmarkLetterboxRemovalCalculator", landmarks.landmark_letterbox_removal_calculator)
    .add("LandmarkProjectionCalculator", landmarks.landmark_projection_calculator)
    .add("WorldLandmarkProjectionCalculator", landmarks.world_landmark_projection_calculator)
    .add("SplitNormalizedLandmarkListCalculator", lists.split_calculator)
    .add("SplitLandmarkListCalculator", lists.split_calculator)
)


def calculators_of_files(files: Resources) -> Registry:
    """Return those of :func:`mediapipe_calculators` that read files, to be joined with others."""
    return (
        Registry()
        .add("InferenceCalculator", partial(inference.inference_calculator, files=files))
        .add(
            "ResourceProviderCalculator",
            partial(inference.resource_provider_calculator, files=files),
        )
        .add(
            "LocalFileContentsCalculator",
            partial(inference.local_file_contents_calculator, files=files),
        )
        .add(
            "DetectionLabelIdToTextCalculator",
            partial(detections.detection_labels_calculator, files=files),
        )
        .add(
            "TensorsToClassificationCalculator",
            partial(tensors.tensors_to_classification_calculator, files=files),
        )
    )


MEDIAPIPE_CALCULATORS = mediapipe_calculators()
"""With MediaPipe's own hand models."""
