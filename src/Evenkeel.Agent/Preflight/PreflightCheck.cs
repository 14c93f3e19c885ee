namespace Evenkeel.Agent.Preflight;

/// <summary>One look at a server. Changes nothing that outlives it, and may be run beside a running agent.</summary>
/// <param name="name">Stable word for programs.</param>
/// <param name="subject">The server, as a node.</param>
internal abstract class PreflightCheck(string name, PreflightSubject subject)
{
    public string Name => name;
    protected PreflightSubject Subject => subject;

    /// <summary>Looks. What could not be looked at is a finding too; only a defect of ours throws.</summary>
    public abstract Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation);

    protected PreflightFinding Passed(string what) => new(PreflightVerdict.Passed, name, subject.Node.Value, what);
    protected PreflightFinding Note(string what, string? mend = null) => new(PreflightVerdict.Note, name, subject.Node.Value, what, mend);
    protected PreflightFinding Warning(string what, string mend) => new(PreflightVerdict.Warning, name, subject.Node.Value, what, mend);
    protected PreflightFinding Failed(string what, string mend) => new(PreflightVerdict.Failed, name, subject.Node.Value, what, mend);
}
