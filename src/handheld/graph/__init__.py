"""Streams of timestamped packets through calculators, with the semantics of MediaPipe's framework.

Describe a graph with ``GraphConfig`` and ``Node``, run it with ``Graph``; write nodes as a
``Calculator`` class or as a typed function under ``@calculator``. The inside is ``_scheduler`` (who
may run next; knows no threads), ``_executors`` (on whose thread) and ``plan`` (validation before
the run); the calculators in ``calculators`` use the public names only.
"""

from handheld.graph._inspect import GraphWarning
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.control import Gate, Merge, Mux, PacketCloner, PassThrough
from handheld.graph.calculators.flow_limiter import FlowLimiter
from handheld.graph.calculators.loop import BeginLoop, EndLoop
from handheld.graph.calculators.packet_resampler import PacketResampler
from handheld.graph.calculators.packet_thinner import PacketThinner
from handheld.graph.calculators.presence import DefaultValue, PacketPresence
from handheld.graph.calculators.previous_loopback import PreviousLoopback
from handheld.graph.calculators.routing import ImmediateMux, PacketInnerJoin, RoundRobinDemux
from handheld.graph.calculators.sequence import Counter, CountingSource, SequenceShift
from handheld.graph.calculators.side_packets import (
    ConstantSidePacket,
    DefaultSidePacket,
    SidePacketToStream,
    StreamToSidePacket,
)
from handheld.graph.calculators.switch import SwitchDemux, SwitchMux, switch_container
from handheld.graph.calculators.throttle import RealTimeThrottle
from handheld.graph.calculators.vectors import (
    ClipVectorSize,
    ConcatenateVector,
    GetVectorItem,
    SplitVector,
    VectorHasMinSize,
    VectorSize,
)
from handheld.graph.config import BackEdge, GraphConfig, Node
from handheld.graph.contract import Contract
from handheld.graph.draw import to_mermaid, to_svg
from handheld.graph.executors import ProcessExecutor, ThreadExecutor
from handheld.graph.explanation import (
    AwaitedSidePacket,
    GraphExplanation,
    InputState,
    NodeState,
    StreamTimes,
    UnmetInputs,
)
from handheld.graph.function import FunctionCalculator, calculator
from handheld.graph.graph import Graph
from handheld.graph.packet import Packet
from handheld.graph.plan import stream_names
from handheld.graph.policies import (
    BarrierPolicy,
    DefaultPolicy,
    EarlyClosePolicy,
    FixedSizePolicy,
    ImmediatePolicy,
    InputPolicy,
    InputQueue,
    MuxPolicy,
    Synchroniser,
    SyncSetPolicy,
    TimestampAlignPolicy,
)
from handheld.graph.reader import PacketReader
from handheld.graph.stats import (
    GraphStats,
    NodeStats,
    QueueStats,
    SourceStats,
    StreamStats,
    Waiting,
)
from handheld.graph.timestamp import Timestamp

__all__ = [
    "AwaitedSidePacket",
    "BackEdge",
    "BarrierPolicy",
    "BeginLoop",
    "Calculator",
    "ClipVectorSize",
    "ConcatenateVector",
    "ConstantSidePacket",
    "Context",
    "Contract",
    "Counter",
    "CountingSource",
    "DefaultPolicy",
    "DefaultSidePacket",
    "DefaultValue",
    "EarlyClosePolicy",
    "EndLoop",
    "FixedSizePolicy",
    "FlowLimiter",
    "FunctionCalculator",
    "Gate",
    "GetVectorItem",
    "Graph",
    "GraphConfig",
    "GraphExplanation",
    "GraphStats",
    "GraphWarning",
    "ImmediateMux",
    "ImmediatePolicy",
    "InputPolicy",
    "InputQueue",
    "InputState",
    "Merge",
    "Mux",
    "MuxPolicy",
    "Node",
    "NodeState",
    "NodeStats",
    "Packet",
    "PacketCloner",
    "PacketInnerJoin",
    "PacketPresence",
    "PacketReader",
    "PacketResampler",
    "PacketThinner",
    "PassThrough",
    "PreviousLoopback",
    "ProcessExecutor",
    "QueueStats",
    "RealTimeThrottle",
    "RoundRobinDemux",
    "SequenceShift",
    "SidePacketToStream",
    "SourceStats",
    "SplitVector",
    "StreamStats",
    "StreamTimes",
    "StreamToSidePacket",
    "SwitchDemux",
    "SwitchMux",
    "SyncSetPolicy",
    "Synchroniser",
    "ThreadExecutor",
    "Timestamp",
    "TimestampAlignPolicy",
    "UnmetInputs",
    "VectorHasMinSize",
    "VectorSize",
    "Waiting",
    "calculator",
    "stream_names",
    "switch_container",
    "to_mermaid",
    "to_svg",
]
