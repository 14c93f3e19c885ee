using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Simulation.World;

/// <summary>What a block of a volume holds: the write that made it. Of two, the one of the later epoch is the newer, then the later number.</summary>
internal readonly record struct SimBlock(Epoch Epoch, long Number) : IComparable<SimBlock>
{
    public int CompareTo(SimBlock other) => Epoch != other.Epoch ? Epoch.CompareTo(other.Epoch) : Number.CompareTo(other.Number);
}

/// <summary>One leg on a node's disk: its blocks, and the highest epoch under which it was written.</summary>
internal sealed class SimLeg(bool keepsEpoch, bool keepsConnection)
{
    public const int Count = 6;
    public string? Name { get; set; }
    public LegGate Gate { get; } = new(Epoch.None, keepsEpoch, keepsConnection);
    public SimBlock[] Blocks { get; } = new SimBlock[Count];
    /// <summary>By which of its writers' connections each block was written last.</summary>
    public long[] By { get; } = new long[Count];
    /// <summary>Grows with each change of who belongs to the array: a leg that was put out stays behind.</summary>
    public long Events { get; set; }
}
