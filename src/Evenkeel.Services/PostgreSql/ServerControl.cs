using Evenkeel.Core.Loop.Ports;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Ends a server by ever harder means: fast (standbys get everything first), immediate (crash recovery follows), its whole tree.
/// One that is stopped ends by the last at once: its sessions, stopped too, would keep it from ending in order.
/// </summary>
internal sealed class ServerControl(GuardedProcess process)
{
    private const int Fast = 2; // SIGINT
    private const int Immediate = 3; // SIGQUIT
    private const int Kill = 9;
    private const int Continue = 18;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<ActionResult> EndAsync(TimeSpan limit, CancellationToken cancellation)
    {
        if (process.Id is { } server && StoppedProcess.Is(server))
        {
            return await KillAsync(cancellation).ConfigureAwait(false);
        }

        process.Signal(Fast);
        if (await process.EndsWithinAsync(limit, cancellation).ConfigureAwait(false))
        {
            return ActionResult.Success;
        }

        process.Signal(Immediate);
        process.Signal(Continue); // It may have been stopped meanwhile.
        if (await process.EndsWithinAsync(Patience, cancellation).ConfigureAwait(false))
        {
            return ActionResult.Success;
        }

        return await KillAsync(cancellation).ConfigureAwait(false);
    }

    public async Task<ActionResult> KillAsync(CancellationToken cancellation)
    {
        process.Signal(Kill, tree: true);
        return await process.EndsWithinAsync(Patience, cancellation).ConfigureAwait(false)
            ? ActionResult.Success : ActionResult.Failure(UnkillableProcess.Main(process.Id ?? 0));
    }
}
