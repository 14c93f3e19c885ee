using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

/// <summary>One running action: its process group, its pipes, its deadline.</summary>
internal sealed class HostedAction
{
    private readonly int process;
    private readonly long deadline;
    private int exitDescriptor;
    private bool timedOut;

    private HostedAction(RunAction request, int process, OutputTap output, OutputTap errors)
    {
        (Request, this.process, Output, Errors) = (request, process, output, errors);
        deadline = Environment.TickCount64 + request.TimeoutMilliseconds;
        exitDescriptor = ChildProcess.Descriptor(process);
    }

    public RunAction Request { get; }
    public OutputTap Output { get; }
    public OutputTap Errors { get; }
    public int Process => process;
    /// <summary>Readable when the process has ended; -1 on Linux before 5.3.</summary>
    public int ExitDescriptor => exitDescriptor;
    public int MillisecondsLeft => (int)Math.Clamp(deadline - Environment.TickCount64, 0, int.MaxValue);

    public static HostedAction? Start(RunAction request, out ActionEnded? failure)
    {
        failure = null;
        if (!ChildProcess.Pipe(out var outputRead, out var outputWrite) || !ChildProcess.Pipe(out var errorsRead, out var errorsWrite))
        {
            failure = Failed(request, Libc.Describe(Libc.LastError));
            return null;
        }
        var process = ActionChild.Spawn(request.Command, [.. request.Environment.Select(v => $"{v.Key}={v.Value}"), .. Mark()], outputWrite, errorsWrite);
        _ = Libc.close(outputWrite);
        _ = Libc.close(errorsWrite);
        if (process > 0) return new HostedAction(request, process, new OutputTap(outputRead), new OutputTap(errorsRead));
        _ = Libc.close(outputRead);
        _ = Libc.close(errorsRead);
        failure = Failed(request, $"{request.Command[0]}: {Libc.Describe(-process)}");
        return null;
    }

    // Without cgroups, whatever carries the instance's mark is of its tree, also when the host is gone.
    private static IEnumerable<string> Mark() =>
        Environment.GetEnvironmentVariable(SessionTree.MarkVariable) is { } mark ? [$"{SessionTree.MarkVariable}={mark}"] : [];

    public static ActionEnded Failed(RunAction request, string reason) => new(request.Id, -1, false, "", "", reason);

    public void Kill() => _ = Libc.kill(-process, Libc.SigKill);

    /// <summary>Kills the group once its time is over; its end follows as of any other.</summary>
    public void Watch()
    {
        if (timedOut || MillisecondsLeft > 0) return;
        timedOut = true;
        Kill();
    }

    public ActionEnded End(int exitCode)
    {
        if (exitDescriptor >= 0) _ = Libc.close(exitDescriptor);
        exitDescriptor = -1;
        return new ActionEnded(Request.Id, exitCode, timedOut, Output.Answer(), Errors.Answer(), null);
    }
}
