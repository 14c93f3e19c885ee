namespace Evenkeel.Services.Fencing;

/// <summary>How a fence agent's action ended.</summary>
/// <param name="ExitCode">0 done (of <c>status</c>: on), 2 off (of <c>status</c>), else failed; null when it was killed or never ran.</param>
/// <param name="Reason">Why it failed, in words; empty when it did not.</param>
internal sealed record FenceAnswer(string Action, int? ExitCode, string Output, string Reason)
{
    public bool Succeeded => ExitCode == 0;
    /// <summary>The answer to <c>status</c> that proves it.</summary>
    public bool SaysOff => Action == "status" && ExitCode == 2;
}
