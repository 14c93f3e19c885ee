using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>
/// Spans of one trace that several nodes write without asking each other: all of them know what is handed over under which epoch
/// to which guard session, and the trace's id and its root's are hashes of that. So a span may be written before its parent, and
/// when the node that would have written the parent is lost, the rest is still one trace.
/// </summary>
/// <param name="subject">What the nodes agree on; unique in the cluster's life.</param>
internal sealed class SpanWriter(string subject)
{
    /// <summary>Nobody listens, and nothing is made, unless telemetry is on.</summary>
    public static readonly ActivitySource Source = new("Evenkeel");

    private readonly byte[] _hash = SHA256.HashData(Encoding.UTF8.GetBytes(subject));

    public ActivityTraceId Trace => ActivityTraceId.CreateFromBytes(_hash.AsSpan(0, 16));
    private ActivitySpanId RootId => ActivitySpanId.CreateFromBytes(_hash.AsSpan(16, 8));
    public ActivityContext Root => new(Trace, RootId, ActivityTraceFlags.Recorded, isRemote: true);

    /// <summary>Writes a span that is over.</summary>
    /// <param name="parent"><see cref="Root"/>, or what an earlier call returned.</param>
    public static ActivityContext Write(ActivityContext parent, string name, DateTimeOffset from, DateTimeOffset to, params IEnumerable<KeyValuePair<string, object?>> tags) =>
        Finish(Source.StartActivity(name, ActivityKind.Internal, parent, tags, startTime: from), from, to, null);

    /// <param name="problem">Why it did not succeed; null when it did.</param>
    public void WriteRoot(string name, DateTimeOffset from, DateTimeOffset to, string? problem, params IEnumerable<KeyValuePair<string, object?>> tags)
    {
        if (Source.StartActivity(name, ActivityKind.Internal, new ActivityContext(Trace, default, ActivityTraceFlags.Recorded), tags, startTime: from) is not { } root)
        {
            return;
        }

        // A span's own id is made up when it starts, and .NET has no other way to say which it shall be.
        OwnId(root) = RootId.ToHexString();
        Finish(root, from, to, problem);
    }

    private static ActivityContext Finish(System.Diagnostics.Activity? span, DateTimeOffset from, DateTimeOffset to, string? problem)
    {
        if (span is null)
        {
            return default;
        }

        using (span)
        {
            span.SetEndTime(Later(from, to).UtcDateTime);
            if (problem is not null)
            {
                span.SetStatus(ActivityStatusCode.Error, problem);
            }

            return span.Context;
        }
    }

    // Two nodes' clocks may say that something ended before it began.
    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_spanId")]
    private static extern ref string? OwnId(Activity activity);
}
