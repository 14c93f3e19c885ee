using Evenkeel.Core.Model;

namespace Evenkeel.Core.Placement;

public enum Availability
{
    /// <summary>Takes new work.</summary>
    Open,
    /// <summary>Takes new work only where nobody else can: it has been flapping.</summary>
    Reluctant,
    /// <summary>Silent since a moment: keeps what it has, gets nothing new.</summary>
    Keeps,
    /// <summary>Silent for long: keeps what it has only where nobody else can take it.</summary>
    Lost,
    /// <summary>Being emptied: keeps what it has only while nobody else serves.</summary>
    Leaving,
    /// <summary>Has nothing to say: witness, maintenance, unknown.</summary>
    Shut,
}

/// <summary>A node as placement sees it.</summary>
public sealed class NodeRoom(NodeSpec spec, Availability availability)
{
    public NodeName Name => spec.Name;
    public Availability Availability => availability;
    public NodeSpec Spec => spec;
    internal int Index { get; set; }
    /// <summary>Number of instances placed here; ties go to the emptier node.</summary>
    internal int Count { get; set; }
    /// <summary>What is left of each capacity, by the placement's own numbering of resources; unlimited where not declared.</summary>
    internal double[] Left { get; set; } = [];
}
