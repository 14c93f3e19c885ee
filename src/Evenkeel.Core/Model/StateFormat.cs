namespace Evenkeel.Core.Model;

/// <summary>
/// How the committed state is written down. Each change after which an older agent would misread it gets a number. A cluster's
/// state carries its number; it rises once every node of the cluster reads the next one, and never falls. An agent that meets a
/// greater number than it reads must not decide anything.
/// </summary>
public static class StateFormat
{
    /// <summary>Of clusters whose state carries no number.</summary>
    public const int First = 1;

    /// <summary>From which on a spec may have volumes: an agent that did not know them would start a service without its data.</summary>
    public const int Volumes = 2;

    /// <summary>A sync set may name more standbys than surely have everything (<see cref="SyncSet.Any"/>).</summary>
    public const int QuorumSets = 2;

    /// <summary>A volume may have asynchronous legs: an agent that did not know them would let a service start where some of its data are missing.</summary>
    public const int AsynchronousLegs = 3;

    /// <summary>The newest that this program reads.</summary>
    public const int Current = 3;
}
