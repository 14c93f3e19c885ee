using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Tells the service manager how the agent does (sd_notify(3)): a datagram to the socket that <c>NOTIFY_SOCKET</c> names.
/// Nothing where no manager asks. What cannot be told is dropped: the manager's watchdog then does what it must.
/// </summary>
internal sealed class ServiceManager
{
    private readonly UnixDomainSocketEndPoint? _to;
    private readonly Action<string> _log;
    private readonly TimeSpan? _watchdog;

    public ServiceManager(Func<string, string?> environment, int self, Action<string> log)
    {
        _log = log;
        if (environment("NOTIFY_SOCKET") is { Length: > 1 } path && path[0] is '/' or '@')
        {
            // An abstract socket's name begins with a zero byte, written as @.
            _to = new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path);
        }

        // WATCHDOG_PID names another process where the variables were inherited (sd_watchdog_enabled(3)).
        if (_to is not null && (environment("WATCHDOG_PID") is not { Length: > 0 } who || who == self.ToString(CultureInfo.InvariantCulture))
            && long.TryParse(environment("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds) && microseconds > 0)
        {
            _watchdog = TimeSpan.FromMicroseconds(microseconds);
        }
    }

    public void Ready(string status) => Tell($"READY=1\nSTATUS={status}");

    public void Say(string status) => Tell($"STATUS={status}");

    public void Stopping(string status) => Tell($"STOPPING=1\nSTATUS={status}");

    /// <summary>
    /// Answers the watchdog three times within its time, for as long as <paramref name="goesRound"/> comes back: a decision loop
    /// that hangs is as good as a dead agent, and must be started anew.
    /// </summary>
    public async Task FeedWatchdogAsync(Action goesRound, CancellationToken cancellation)
    {
        if (_watchdog is not { } time)
        {
            return;
        }

        using var timer = new PeriodicTimer(time / 3);
        try
        {
            do
            {
                goesRound();
                Tell("WATCHDOG=1");
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // Stopping has a time limit of its own.
        }
    }

    private void Tell(string message)
    {
        if (_to is null)
        {
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(message), _to);
        }
        catch (SocketException exception)
        {
            _log($"the service manager cannot be told '{message.Split('\n')[0]}': {exception.Message}");
        }
    }
}
