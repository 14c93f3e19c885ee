using System.ComponentModel;
using System.Diagnostics;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Systemd;

/// <summary>
/// systemd by its own command-line tool (systemctl(1)): <c>start</c> and <c>stop</c> return when the job is done, with its result
/// as exit code. (Rejected: D-Bus, whose library would be a dependency for four calls; what it adds are events between polls.)
/// </summary>
/// <param name="program">The tool; another one in tests.</param>
public sealed class Systemctl(string program = "systemctl")
{
    private static readonly TimeSpan QuickAnswer = TimeSpan.FromSeconds(10);
    private static readonly string[] s_properties = ["LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts", "UnitFileState", "ExecMainStatus"];

    internal Task<SystemctlRun> StartAsync(string unit, TimeSpan limit, CancellationToken cancellation) => RunAsync(["start", "--job-mode=replace", "--", unit], limit, cancellation);

    internal Task<SystemctlRun> StopAsync(string unit, TimeSpan limit, CancellationToken cancellation) => RunAsync(["stop", "--job-mode=replace", "--", unit], limit, cancellation);

    internal Task<SystemctlRun> KillAsync(string unit, CancellationToken cancellation) => RunAsync(["kill", "--signal=SIGKILL", "--", unit], QuickAnswer, cancellation);

    internal Task<SystemctlRun> ResetFailedAsync(string unit, CancellationToken cancellation) => RunAsync(["reset-failed", "--", unit], QuickAnswer, cancellation);

    internal Task<SystemctlRun> ReloadAsync(CancellationToken cancellation) => RunAsync(["daemon-reload"], QuickAnswer, cancellation);

    /// <summary>Null with the reason when systemd does not answer.</summary>
    internal async Task<(UnitState? State, string Reason)> ShowAsync(string unit, CancellationToken cancellation)
    {
        var run = await RunAsync(["show", "--property=" + string.Join(',', s_properties), "--", unit], QuickAnswer, cancellation).ConfigureAwait(false);
        return run.Succeeded ? (UnitState.Parse(run.Output), "") : (null, run.Reason);
    }

    private async Task<SystemctlRun> RunAsync(IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken cancellation)
    {
        try
        {
            var start = new ProcessStartInfo(program, ["--no-ask-password", "--no-pager", .. arguments]);
            start.Environment["LC_ALL"] = "C";
            // One that took too long is killed; the job goes on in systemd, and who asks next sees what became of it.
            var end = await ChildRun.RunAsync(start, limit, cancellation).ConfigureAwait(false);
            return end.ExitCode is { } code ? new SystemctlRun(code, end.Output, end.Errors)
                : new SystemctlRun(-1, "", $"{arguments[0]}: not done within {limit.TotalSeconds:0.###} s");
        }
        catch (Win32Exception exception)
        {
            return new SystemctlRun(-1, "", $"{program}: {exception.Message}: does systemd run here?");
        }
    }
}
