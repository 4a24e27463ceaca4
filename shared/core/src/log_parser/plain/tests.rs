use super::*;
use crate::model::TaskStatus;

/// Checks the counters of a line, ordered by kind: `Step 3/10, Percent 45%`. `-` means none.
#[track_caller]
fn check(line: &str, expected: &str) {
    let mut counters = parse(line).map(|found| found.counters).unwrap_or_default();
    counters.sort_by_key(|(kind, _)| *kind);
    counters.reverse();
    let brief = counters.iter().map(|(kind, counter)| {
        let pair = match (counter.current, counter.total) {
            (Some(current), Some(total)) => format!(" {current}/{total}"),
            _ => String::new(),
        };
        let percentage = counter
            .percentage
            .map_or(String::new(), |percentage| format!(" {percentage}%"));
        format!("{kind:?}{pair}{percentage}")
    });
    let brief = brief.collect::<Vec<_>>().join(", ");
    assert_eq!(
        if brief.is_empty() { "-" } else { &brief },
        expected,
        "{line:?}"
    );
}

#[test]
fn a_word_beside_a_pair_makes_it_a_counter() {
    for (line, expected) in [
        ("Epoch 3/250", "Phase 3/250"),
        (
            "Epoch: 003/010 | Batch 0100/0469 | Cost: 0.1",
            "Phase 3/10, Item 100/469",
        ),
        (
            "Epoch [3/10], Step [100/600], Loss: 0.31",
            "Phase 3/10, Step 100/600",
        ),
        ("Task 3/5: Add JWT token validation", "Phase 3/5"),
        ("Stage 2 of 4 - tests", "Phase 2/4"),
        ("Phase 2/3", "Phase 2/3"),
        (
            "Step 12/13 : COPY pipeline/ /usr/local/lib/python3.6/dist-packages/pipeline",
            "Item 12/13",
        ),
        ("[1/2] STEP 6/10: RUN npm ci", "Step 6/10, Bracket 1/2"),
        ("STEP 1/6: Image Processing...", "Step 1/6"),
        ("=== Step #3 of 10 ===", "Step 3/10"),
        ("level=info msg=\"Step 3/10\"", "Step 3/10"),
        ("Iteration 7 / 20: loss 0.3", "Step 7/20"),
        ("Progress: 3/10", "Step 3/10"),
        ("Processing batch 1/3 (50 stories)", "Item 1/3"),
        (
            "3 of 10 START sql table model dev.orders ........ [RUN]",
            "Item 3/10",
        ),
        (
            "3 of 10 OK created sql table model dev.orders .... [SELECT 5 in 0.31s]",
            "Item 3/10",
        ),
        (
            "...............................................................  63 / 189 ( 33%)",
            "Item 63/189 33%",
        ),
        ("Generating static pages (3/10)", "Item 3/10"),
        (
            "image 1/2 /data/images/bus.jpg: 640x480 4 persons",
            "Item 1/2",
        ),
        ("Processed 1,200/5,678 records", "Item 1200/5678"),
        ("Downloaded 3 of 10", "Item 3/10"),
        ("45/100 files processed", "Item 45/100"),
        ("3 of 10 steps (30%) done", "Step 3/10 30%"),
        (
            " 3/10 Test  #3: parser_test ......   Passed    0.01 sec",
            "Item 3/10",
        ),
        (
            "  Installing       : glibc-2.34.x86_64              3/10 ",
            "Item 3/10",
        ),
        (
            "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...",
            "Item 2/3",
        ),
        (
            "      3/100      1.2G     0.0456     0.0321     0.0123        12       640",
            "Phase 3/100",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_pair_in_brackets_is_a_counter() {
    for (line, expected) in [
        ("[3/10] Linking", "Bracket 3/10"),
        (
            "[636/741] Linking CXX executable thread_pool_executor_test",
            "Bracket 636/741",
        ),
        (
            "[1,234 / 5,678] Compiling foo/bar.cc; 3s linux-sandbox",
            "Bracket 1234/5678",
        ),
        ("[ 3 of 10 ] compiling", "Bracket 3/10"),
        (
            "#9 [2/5] RUN pip install -r requirements.txt",
            "Bracket 2/5",
        ),
        ("#9 [builder 2/6] RUN make", "Bracket 2/6"),
        ("#9 [linux/amd64 builder 3/5] RUN make", "Bracket 3/5"),
        (" => CACHED [stage-1 2/6] WORKDIR /app", "Bracket 2/6"),
        ("[4/4] Building fresh packages...", "Bracket 4/4"),
        (
            "Building shop-api 1.0-SNAPSHOT                     [2/5]",
            "Bracket 2/5",
        ),
        ("Rebasing (3/10)", "Bracket 3/10"),
        ("(3/10) installing glibc", "Bracket 3/10"),
        (
            "Finished task 3.0 in stage 1.0 (TID 4) in 123 ms on host (executor 1) (4/108)",
            "Bracket 4/108",
        ),
        ("🚀 [2/5] Deploying", "Bracket 2/5"),
        (
            "[ 12/345  3s] CopyFiles Library/Bee/artifacts",
            "Bracket 12/345",
        ),
        (
            "        PASS [   0.005s] (3/10) parser tests::a",
            "Bracket 3/10",
        ),
        ("[3 of 10] Compiling Main", "Bracket 3/10"),
        (
            "[3/120] [chromium] › login.spec.ts:3:5 › logs in",
            "Bracket 3/120",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_pair_beside_a_bar_is_a_counter() {
    for (line, expected) in [
        (
            " 67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]",
            "Bar 39/58 67%, Percent 67%",
        ),
        (
            "a:  55%|█████▌    | 32/58 [00:03<00:01, 24.73it/s]a:  67%|██████▋   | 39/58 [00:03<00:00, 31.54it/s]",
            "Bar 39/58 67%, Percent 67%",
        ),
        (
            "model.bin:  45%|████▌     | 1.2G/2.7G [00:10<00:12, 120MB/s]",
            "Percent 45%",
        ),
        (
            "data.tar:  45%|████▌     | 1234567/2700000 [00:10<00:12, 120kB/s]",
            "Percent 45%",
        ),
        (
            "Epoch 3:  45%|████▌     | 45/100 [00:10<00:12, 4.5it/s]",
            "Bar 45/100 45%, Percent 45%",
        ),
        (
            "Receiving objects: 100% (10851/10851), 41.56 MiB | 47.49 MiB/s, done.",
            "Bar 10851/10851 100%",
        ),
        ("Updating files:  45% (450/1000)", "Bar 450/1000 45%"),
        (
            "    [Stage 1:========>           (17 + 11) / 108]",
            "Bar 17/108",
        ),
        (
            "178/178 [==============================] - 2s 12ms/step - loss: 0.15",
            "InnerBar 178/178",
        ),
        (
            "  1/178 [..............................] - ETA: 1:23",
            "InnerBar 1/178",
        ),
        (
            "178/178 ━━━━━━━━━━━━━━━━━━━━ 2s 12ms/step",
            "InnerBar 178/178",
        ),
        (
            "    Building [=======>           ] 45/120: serde, syn",
            "Bar 45/120",
        ),
        ("[00:00:10] [####>------] 45/100 (3m)", "Bar 45/100"),
        (
            "Train Epoch: 1 [6400/60000 (11%)]\tLoss: 0.3",
            "Bar 6400/60000 11%",
        ),
        (
            "[ab/123456] process > ALIGN (3) [ 45%] 3 of 7",
            "Bar 3/7 45%",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn a_percentage_of_progress_is_a_counter() {
    for (line, expected) in [
        ("Progress: 45%", "Percent 45%"),
        ("Overall progress: 45.7 %", "Percent 45%"),
        ("Progress: [ 45%]", "Percent 45%"),
        ("Progress: [#####.....] 50%", "Percent 50%"),
        ("45% complete", "Percent 45%"),
        ("Import 45% done (3 min left)", "Percent 45%"),
        ("<============-> 96% EXECUTING [11m 35s]", "Percent 96%"),
        ("<-------------> 0% CONFIGURING [1s]", "Percent 0%"),
        ("41% building 261/261 modules 0 active", "Percent 41%"),
        ("92% sealing asset processing TerserPlugin", "Percent 92%"),
        ("tests/test_a.py::test_b[1/2] PASSED [ 75%]", "Percent 75%"),
        ("tests/test_memory.py .....           [ 33%]", "Percent 33%"),
        ("[gw0] [ 25%] PASSED tests/test_a.py::test_b", "Percent 25%"),
        (
            "[ 45%] Building CXX object src/CMakeFiles/memory.cpp.o",
            "Percent 45%",
        ),
        (
            "     45% |██████████████▌                 | 1.2MB 3.4MB/s",
            "Percent 45%",
        ),
        (
            "file.zip        45%[=========>          ]  12.3M  1.2MB/s",
            "Percent 45%",
        ),
        ("Reading package lists... 45%", "Percent 45%"),
        ("45.2% of 12.34MiB at 1.20MiB/s ETA 00:03", "Percent 45%"),
        ("Progress: Downloading tool 1.0... 45%", "Percent 45%"),
        (
            "#progress_metric: host=algo-1, completed 45 % of epochs",
            "Percent 45%",
        ),
        ("default   [  45% ] 10 VUs  0m10s/0m30s", "Percent 45%"),
        (
            "Progress:  45%|███████▊         |  ETA: 0:00:03",
            "Percent 45%",
        ),
        ("numpy-1.2 | 5.2 MB | ########## | 45% ", "Percent 45%"),
        (
            " 45/100 [============>---------------]  45%",
            "InnerBar 45/100, Percent 45%",
        ),
        (
            "BUNDLE ./index.js ▓▓▓▓▓▓▓░░░░░░░░░ 45.2% (450/1000)",
            "Bar 450/1000 45%",
        ),
        ("45% [Working]", "Percent 45%"),
        ("Downloading model: 45%", "Percent 45%"),
        (
            "Downloading ━━━━━━━━━━━━━━━━━━━━ 45% 0:00:10",
            "Percent 45%",
        ),
        ("  1,234,567  45%   12.34MB/s    0:00:03", "Percent 45%"),
    ] {
        check(line, expected);
    }
}

#[test]
fn other_numbers_are_not_progress() {
    for line in [
        "2025/11/15 10:00:00 started",
        "17/01/21 23:41:50 ERROR YarnScheduler: Lost executor 7",
        "due on 11/15",
        "GET /a/3/10 HTTP/1.1 200",
        "using v1.2/3.4 of api",
        "10.0.0.0/16",
        "- CPU usage: 45%",
        "CPU: [|||||     ] 45%",
        "memory usage: 45% done",
        "- Memory: 2.1GB/8GB",
        "2 packets transmitted, 2 received, 0% packet loss, time 1393ms",
        "coredns-558bd4d5db-thwvj  1/1  Running  0  3m39s",
        "/dev/sda1       253M   53M  200M  21% /media",
        "Detection: 50/50, uncertain: 2",
        "Accuracy: 9838/10000 (98%)",
        "Accuracy: 98% (9838/10000)",
        "Statements   : 85.71% ( 6/7 )",
        "50% of requests complete in 42ms",
        "- 90% complete in under 58ms",
        "- Most requests (50%) complete in ~42ms",
        "a discount of 20% was applied",
        "score 3/10",
        "Attempt 2/3",
        "[2/3] Retrying in 5s",
        "X: deploying... [1/2]",
        "[33%] success: Published 0e58:current",
        "http://localhost:80/443",
        "‘file.zip’ saved [123/123]",
        "[12/345678] process > ALIGN (3)",
        "   45/100%",
        "Step 3/10/2025",
        "Step 12/10",
        "Step 0/0",
        "101% complete",
        "99999999999999999999999999/3 99999999999999999999999999%",
        "Tasks: 5, 3/s",
        "Loaded 12/45 MB",
        "   ━━━━━━━━━━━━━━━━╸━━━━━━━━━━━ 8.1/18.2 MB 5.0 MB/s eta 0:00:03",
        "     ━━━━━━━━━━━━━━━━━━━━━━━━━━ 61/61 kB 3.1 MB/s eta 0:00:00",
        "a1b2c3d4e5f6: Downloading [=====>       ]  8.1MB/18.2MB",
        "a1b2c3d4e5f6: Extracting [============>]  512B/512B",
        "Downloading 1024/2048 bytes",
        "Running 3/3 replicas",
        "running (0m10.0s), 05/10 VUs, 45 complete and 0 interrupted iterations",
        "Uptime 99.9%",
        "sale: 20% off",
        "battery level 3/5",
        "open 24/7",
        "TLS1.2/1.3",
        "Tests: 45/50 passed",
        "(attempt 2/3)",
        "3/3 pods ready",
        "Rated 4/5 stars",
        "[10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200",
        "CPU 45%/100%",
        "Filesystem  1K-blocks  Used  Use%",
        "Connected to 10.0.0.1:80/443",
        "--shard=3/8",
        "Test Suites: 3 passed, 3 total",
    ] {
        check(line, "-");
    }
}

#[test]
fn the_end_of_a_run_gives_its_status() {
    use TaskStatus::{Cancelled, Completed, Failed};
    for (line, expected) in [
        ("===== 4 passed in 0.04s =====", Some(Completed)),
        ("4 passed, 1 skipped in 62.10s (0:01:02)", Some(Completed)),
        ("=== 1 failed, 3 passed in 0.10s ===", Some(Failed)),
        ("=== 3 passed, 1 error in 0.10s ===", Some(Failed)),
        ("🎉 Training completed!", Some(Completed)),
        ("All done", Some(Completed)),
        ("✅ All tasks completed successfully!", Some(Completed)),
        ("Pipeline finished in 3m 2s", Some(Completed)),
        ("BUILD SUCCESSFUL in 3s", Some(Completed)),
        ("BUILD SUCCESS", Some(Completed)),
        ("Build succeeded.", Some(Completed)),
        ("BUILD FAILED in 3s", Some(Failed)),
        ("FAILURE: Build failed with an exception.", Some(Failed)),
        ("Resolving deltas: 100% (7916/7916), done.", Some(Completed)),
        ("FAILED: thread_pool_executor_test", Some(Failed)),
        ("FAILED: 2 stories", None),
        ("FAILED (failures=1)", Some(Failed)),
        ("2 errors in 0.31s", Some(Failed)),
        (
            "make: *** No rule to make target 'all'.  Stop.",
            Some(Failed),
        ),
        ("ninja: build stopped: subcommand failed.", Some(Failed)),
        ("ninja: build stopped: error reading deps", Some(Failed)),
        ("server terminated with code 3", Some(Failed)),
        ("Training done", Some(Completed)),
        ("make: *** [Makefile:3: all] Error 2", Some(Failed)),
        ("make: [Makefile:3: all] Error 2 (ignored)", None),
        (
            "COPY failed: stat /x: no such file or directory",
            Some(Failed),
        ),
        (
            "The command '/bin/sh -c npm ci' returned a non-zero code: 1",
            Some(Failed),
        ),
        (
            "Command did not exit successfully eval \"$x\" exit status 1",
            Some(Failed),
        ),
        ("Phase complete: BUILD State: FAILED", Some(Failed)),
        ("Phase complete: BUILD State: SUCCEEDED", None),
        ("error: process exited with code 1", Some(Failed)),
        ("Process completed with exit code 1.", Some(Failed)),
        ("deployer-1 exited with code 0", None),
        ("Command failed with exit code 1.", Some(Failed)),
        ("Request failed with status code 404", None),
        ("Finished: SUCCESS", Some(Completed)),
        ("Finished: ABORTED", Some(Cancelled)),
        (
            "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.",
            Some(Completed),
        ),
        (
            "deployment \"web\" successfully rolled out",
            Some(Completed),
        ),
        ("Done in 3.45s.", Some(Completed)),
        ("12 passed (5.3s)", Some(Completed)),
        ("12 passing (34ms)", Some(Completed)),
        ("1 failed", Some(Failed)),
        ("2 failing", Some(Failed)),
        ("12 passed", None),
        ("0 failed", None),
        (
            "web-1                      : ok=5    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0",
            Some(Completed),
        ),
        (
            "web-2 : ok=4 changed=1 unreachable=0 failed=1 skipped=0",
            Some(Failed),
        ),
        (
            "web-3 : ok=0 changed=0 unreachable=1 failed=0",
            Some(Failed),
        ),
        (
            "PLAY RECAP *********************************************************************",
            None,
        ),
        ("Tests  12 passed (12)", Some(Completed)),
        ("Tests  1 failed | 11 passed (12)", Some(Failed)),
        ("FAIL", Some(Failed)),
        (
            "error: could not compile `app` (lib) due to 2 previous errors",
            Some(Failed),
        ),
        ("FAIL: the disk is slow", None),
        ("❌ Failed: 2 stories", None),
        (
            "info \"fsevents@2.3.2\" is optional and failed compatibility check.",
            None,
        ),
        ("✅ Audio generated: output/story_audio.wav", None),
        ("Build completed on Thu Dec 28 07:27:53 UTC 2023", None),
        ("Step 3 completed", None),
        ("Traceback (most recent call last):", None),
        ("npm ERR! code ELIFECYCLE", None),
        (
            "Received response status [FAILED] from custom resource.",
            None,
        ),
    ] {
        assert_eq!(
            parse(line).and_then(|found| found.status),
            expected,
            "{line:?}"
        );
    }
}

#[test]
fn a_first_step_starts_a_run() {
    for (line, expected) in [
        ("Step 1/10", true),
        ("Step 0/10", true),
        ("Step 2/10", false),
        ("Step 1/1", false),
        ("Progress: 0%", true),
        ("Progress: 1%", false),
        ("1/178 [====>.........]", false),
        ("Epoch 2/3 [1/100]", false),
    ] {
        assert_eq!(parse(line).unwrap().is_start, expected, "{line:?}");
    }
}
