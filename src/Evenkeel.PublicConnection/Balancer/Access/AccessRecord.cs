using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Access;

/// <summary>One request while it runs: what its line in the access log will say. A feature of the request.</summary>
internal sealed class AccessRecord
{
    /// <summary>The client went away before there was an answer; nginx's number for it.</summary>
    private const int ClientClosed = 499;

    private readonly long began = Stopwatch.GetTimestamp();
    private readonly CountingStream body;

    private AccessRecord(CountingStream body) => this.body = body;

    public DateTimeOffset Time { get; } = DateTimeOffset.UtcNow;
    /// <summary>The node whose instance it went to last; null when it went to none.</summary>
    public NodeName? Node { get; private set; }
    public int Attempts { get; private set; }
    /// <summary>Bytes of the answer's body, as far as they were sent.</summary>
    public long Bytes => body.Written;
    public TimeSpan Took => Stopwatch.GetElapsedTime(began);

    public static AccessRecord Begin(HttpContext http)
    {
        var prior = http.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        var counting = new CountingStream(prior.Stream);
        var record = new AccessRecord(counting);
        http.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(counting, prior));
        http.Features.Set(record);
        return record;
    }

    public void Went(NodeName node) => (Node, Attempts) = (node, Attempts + 1);

    public AccessLine End(HttpContext http, RoutePool route)
    {
        var (request, response) = (http.Request, http.Response);
        return new AccessLine(Time, http.Connection.RemoteIpAddress?.ToString(), request.Method, request.Scheme, request.Host.Value,
            request.Path.ToUriComponent() + request.QueryString.ToUriComponent(), request.Protocol,
            !response.HasStarted && http.RequestAborted.IsCancellationRequested ? ClientClosed : response.StatusCode, Bytes,
            request.Headers.Referer, request.Headers.UserAgent, Took, route.Route.Service, Node?.Value, Attempts);
    }
}
