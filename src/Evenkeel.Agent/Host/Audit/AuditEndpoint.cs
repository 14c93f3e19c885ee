using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Host.Audit;

/// <summary>Puts every request of the control API that changes something on the audit trail, with its asker and its outcome.</summary>
internal sealed class AuditEndpoint(AuditTrail trail, NodeName node)
{
    private const int MostEntries = 100_000;
    /// <summary>Key of <see cref="HttpContext.Items"/> under which who asks is, in words, where the kernel does not say it.</summary>
    internal const string CallerItem = "evenkeel.caller";

    /// <summary>Who asks: a user of this node, or the name of a token.</summary>
    internal static string NameOf(HttpContext http) => http.Items[CallerItem] as string ?? CallerOf(http)?.Name ?? "unknown";

    private static Caller? CallerOf(HttpContext http) => Caller.Of(http.Features.Get<IConnectionSocketFeature>()?.Socket);

    public void Map(WebApplication application)
    {
        application.Use(next => http => HttpMethods.IsPost(http.Request.Method) && http.Request.Path != ControlRoutes.Plan ? WriteDownAsync(http, next) : next(http));
        application.MapGet(ControlRoutes.Audit, (RequestDelegate)(async http =>
        {
            var limit = int.TryParse(http.Request.Query["limit"], NumberStyles.None, CultureInfo.InvariantCulture, out var wanted) ? Math.Min(wanted, MostEntries) : 100;
            http.Response.ContentType = ControlRoutes.StreamType;
            foreach (var entry in trail.Last(limit))
            {
                await http.Response.Body.WriteAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(entry, ControlJson.Default.AuditEntry), (byte)'\n'], http.RequestAborted).ConfigureAwait(false);
            }
        }));
    }

    private async Task WriteDownAsync(HttpContext http, RequestDelegate next)
    {
        var caller = CallerOf(http);
        // Held back until the entry is on disk: who reads the answer finds the entry.
        var toClient = http.Response.Body;
        using var answer = new MemoryStream();
        http.Response.Body = answer;
        var outcome = "failed";
        try
        {
            await next(http).ConfigureAwait(false);
            outcome = http.Response.StatusCode < 300 ? "done" : http.Response.StatusCode < 500 ? "refused" : "failed";
        }
        finally
        {
            http.Response.Body = toClient;
            trail.Add(new AuditEntry(DateTimeOffset.UtcNow, node, caller?.User, NameOf(http), caller?.Process, Words(http), outcome, Said(answer.ToArray())));
        }

        await toClient.WriteAsync(answer.ToArray(), http.RequestAborted).ConfigureAwait(false);
    }

    private static string Words(HttpContext http)
    {
        var about = http.Request.Path.Value!["/v1/".Length..];
        return http.Items[ControlEndpoints.RequestItem] switch
        {
            FileRequest file => $"{about} {file.File} (SHA-256 {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(file.Text)))})",
            NodeModeRequest mode => $"{about} {mode.Mode.ToString().ToLowerInvariant()}{(mode.Reason.Length > 0 ? $" ({mode.Reason})" : "")}",
            FenceOrder fence => $"{about} {fence.Wish.ToString().ToLowerInvariant()}",
            BackupWish wish => $"{about} {wish.Task.ToString().ToLowerInvariant()}",
            RestartOrder restart => $"{about} on {restart.Node}",
            MoveOrder move => $"{about} {move.Resource} to {move.To}",
            TokenOrder token => $"{about} for {token.Node}, good for {Duration.Format(token.Lifetime)}",
            ApiTokenOrder token => $"{about} {token.Name} ({token.Role.ToString().ToLowerInvariant()}, good for {Duration.Format(token.Lifetime)})",
            AuthorityRotation rotation => $"{about}{(rotation.Stepwise ? " by one step" : "")}{(rotation.LostKey ? " with the key lost" : "")}",
            VerifyOrder verify => $"{about}{(verify.Repair ? " with repair" : "")}",
            RemovalOrder => about,
            { } other => $"{about} {other}",
            null => about,
        };
    }

    /// <summary>The answer's own words, where it has some.</summary>
    private static string? Said(byte[] answer)
    {
        try
        {
            using var document = JsonDocument.Parse(answer);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("message", out var message) ? message.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
