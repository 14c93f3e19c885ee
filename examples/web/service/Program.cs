// A small web service to keep running: says who answered, counts, streams, and can be slow or crash on request.
//   web --urls http://127.0.0.1:5000 --node n1
using System.Globalization;
using System.Runtime.CompilerServices;

// Not the working directory, whose whole tree ASP.NET would watch for changed settings.
var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.Logging.ClearProviders();
// Requests under way may end when the cluster moves this instance.
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
var node = builder.Configuration["node"] ?? Environment.MachineName;
var served = 0L;
var app = builder.Build();

app.Use((context, next) =>
{
    context.Response.Headers["X-Evenkeel-Node"] = node;
    return next(context);
});
app.MapGet("/", () => string.Create(CultureInfo.InvariantCulture,
    $"Hello from {node} (process {Environment.ProcessId}), answer {Interlocked.Increment(ref served)}, {DateTime.UtcNow:O}\n"));
app.MapGet("/healthz", () => "ok\n");
app.MapGet("/slow", async (int ms) =>
{
    await Task.Delay(Math.Clamp(ms, 0, 60_000));
    return $"{node} took its time\n";
});
// Server-sent events without an end, numbered from 0.
app.MapGet("/events", (int? ms, CancellationToken gone) => TypedResults.ServerSentEvents(CountAsync(TimeSpan.FromMilliseconds(Math.Clamp(ms ?? 1000, 10, 60_000)), gone)));
app.MapPost("/crash", () => Environment.FailFast("asked to crash"));
app.Run();

static async IAsyncEnumerable<string> CountAsync(TimeSpan every, [EnumeratorCancellation] CancellationToken gone)
{
    for (var number = 0L; ; number++)
    {
        yield return number.ToString(CultureInfo.InvariantCulture);
        await Task.Delay(every, gone);
    }
}
