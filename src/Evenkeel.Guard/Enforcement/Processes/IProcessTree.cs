namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>One instance's processes, all of them: how they are found again, and ended together. Calls never wait.</summary>
internal interface IProcessTree
{
    /// <summary>Where a process writes its id to join; empty when joining is by session.</summary>
    string JoinPath { get; }

    /// <summary>Makes room for the instance's processes; idempotent.</summary>
    string? Prepare();

    /// <summary>Sends SIGKILL to every process of the tree (the first is <paramref name="mainProcess"/>, 0 when none was started).</summary>
    void Kill(int mainProcess);

    /// <summary>True when no process is left; waits at most <paramref name="milliseconds"/> for that.</summary>
    bool IsGone(int mainProcess, int milliseconds);

    /// <summary>Takes away what <see cref="Prepare"/> made, once the tree is gone.</summary>
    void Remove();
}
