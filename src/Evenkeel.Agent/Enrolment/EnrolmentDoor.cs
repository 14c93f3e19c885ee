using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Opens the port at which nodes enrol while the authority's key is on this node: it may come, by hand or by a change of the authority.</summary>
internal sealed class EnrolmentDoor(AgentConfiguration configuration, NodeCertificate certificate, EnrolmentOffice office, Action<string> log) : IAsyncDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private IAsyncDisposable? _server;
    private bool _tried;

    public async Task FollowAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                if (!office.CanSign)
                {
                    await DisposeAsync().ConfigureAwait(false);
                    _tried = false;
                }
                else if (!_tried)
                {
                    _tried = true;
                    _server = await EnrolmentServer.StartAsync(
                        configuration.Private.Select(own => new IPEndPoint(IPAddress.Parse(own), PrivatePorts.Enrolment)), certificate, office, log).ConfigureAwait(false);
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _server, null) is { } server)
        {
            await server.DisposeAsync().ConfigureAwait(false);
        }
    }
}
