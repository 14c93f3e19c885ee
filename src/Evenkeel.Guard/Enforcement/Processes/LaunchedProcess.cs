using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>One started child: first our own binary, then (when the error pipe closes silently) the service itself, then its end.</summary>
internal sealed class LaunchedProcess : IDisposable
{
    // Trees end within a moment of being killed, which is worth waiting for once; one that takes so long waits for something that may never come.
    private const int AtOnce = 10, Lingers = 1000;

    private readonly LaunchRequest request;
    private readonly IProcessTree tree;
    private readonly int id;
    private int errorPipe, processDescriptor;
    private string? error;
    private int exitCode;
    private long endedAt;
    private bool toldLeft;

    public LaunchedProcess(LaunchRequest request, IProcessTree tree, int id, int errorPipe, WakeSet wakes)
    {
        (this.request, this.tree, this.id, this.errorPipe) = (request, tree, id, errorPipe);
        processDescriptor = ChildProcess.Descriptor(id);
        wakes.Add(errorPipe);
        wakes.Add(processDescriptor);
    }

    public LaunchRequest Request => request;
    public IProcessTree Tree => tree;
    public int Id => id;

    /// <summary>The main process is reaped; what it left behind may not be gone yet.</summary>
    public bool Ended { get; private set; }

    /// <summary>Moves on as far as it can without waiting.</summary>
    /// <returns>True when it is over: reported, and its tree gone.</returns>
    public bool Advance(Action<GuardMessage> report, KeeperLink keeper)
    {
        var exit = Ended ? null : ChildProcess.Reap(id); // Before the pipe: what it wrote last is then in there.
        if (errorPipe >= 0) ReadPipe(report, keeper, exit is not null);
        if (exit is { } code)
        {
            (Ended, exitCode, endedAt) = (true, code, Environment.TickCount64);
            Close(ref processDescriptor);
            // The main process decides: what it left behind goes with it, or a restart would find its port taken.
            tree.Kill(0);
        }
        if (!Ended) return false;
        if (!tree.IsGone(0, exit is null ? 0 : AtOnce))
        {
            if (toldLeft || error is not null || Environment.TickCount64 - endedAt < Lingers) return false;
            toldLeft = true;
            report(new Exited(request.Instance, id, exitCode, Left: true));
            return false;
        }
        if (error is null) report(new Exited(request.Instance, id, exitCode));
        tree.Remove();
        keeper.Forget(request.Instance);
        return true;
    }

    private void ReadPipe(Action<GuardMessage> report, KeeperLink keeper, bool exited)
    {
        var text = ChildProcess.ReadAvailable(errorPipe);
        for (; text is { Length: > 0 }; text = ChildProcess.ReadAvailable(errorPipe)) error += text;
        if (text is null && !exited) return;
        Close(ref errorPipe);
        report(error is null ? new Launched(request.Instance, id, null) : new Launched(request.Instance, 0, error));
        if (error is null) keeper.Watch(request.Instance, id, request.LogFile);
    }

    public void Dispose()
    {
        Close(ref errorPipe);
        Close(ref processDescriptor);
    }

    // Closing takes it out of the wake set as well.
    private static void Close(ref int descriptor)
    {
        if (descriptor >= 0) _ = Libc.close(descriptor);
        descriptor = -1;
    }
}
